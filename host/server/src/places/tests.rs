//! Who has to go, and who may stay.

use futures_util::FutureExt as _;

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
const C: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 3));
const D: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 4));
const E: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

/// Made a minute ago.
fn places(limit: usize) -> Places {
    patient_places(limit, Duration::ZERO)
}

fn patient_places(limit: usize, patience: Duration) -> Places {
    let begun = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    let in_use = Duration::from_secs(30);
    Places(Arc::new(Shared { limit, patience, in_use, begun, register: Mutex::default() }))
}

/// As if the holder had been at rest since that time.
fn at_rest(place: &Place, since: u64) {
    place.held.at_rest_since.store(since, Ordering::Relaxed);
}

fn is_gone(place: &Place) -> bool {
    place.taken_back().now_or_never().is_some()
}

//
#[test]
fn as_many_as_the_limit_stay_and_one_more_takes_the_place_of_the_longest_at_rest() {
    let places = places(3);
    let held: Vec<Place> = (0..3).map(|_| places.enter(A, 1).unwrap()).collect();
    assert!(held.iter().all(|place| !is_gone(place)));
    at_rest(&held[0], 5);
    at_rest(&held[1], 3);
    at_rest(&held[2], 4);
    let newcomer = places.enter(B, 1).unwrap();
    assert_eq!(held.iter().map(is_gone).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(places.taken(), 3);
    drop((held, newcomer));
    assert_eq!(places.taken(), 0);
}

// else as many newcomers as there are places, all at once, push out everybody who keeps a connection
#[test]
fn who_was_answered_a_moment_ago_goes_after_all_others_at_rest() {
    let places = places(3);
    let [kept, idle, new] = [(); 3].map(|()| places.enter(A, 1).unwrap());
    let gone = || [&kept, &idle, &new].map(is_gone);
    kept.held().begin().answered();
    idle.held().begin().answered();
    // The places are a minute old, and 30 seconds are what keeps one in use: abandoned requests do not.
    idle.held().answered_at.store(1, Ordering::Relaxed);
    let moment = |number: u64| 50_000 + number;
    drop(idle.held().begin());
    at_rest(&idle, 0);
    at_rest(&kept, moment(0));
    at_rest(&new, moment(1));
    let first = places.enter(A, 1).unwrap();
    assert_eq!(gone(), [false, true, false], "the longest at rest of those that are not in use");
    at_rest(&first, moment(2));
    let second = places.enter(A, 1).unwrap();
    assert_eq!(gone(), [false, false, true], "never answered, though it came later");
    for place in [&first, &second] {
        place.held().begin().answered();
        at_rest(place, moment(3));
    }
    let _third = places.enter(A, 1).unwrap();
    assert_eq!(gone(), [true, false, false], "where more than half are in use, the longest at rest");
}

#[test]
fn what_is_under_way_stays_and_a_newcomer_is_refused_at_once() {
    let places = places(2);
    let held: Vec<Place> = (0..2).map(|_| places.enter(A, 1).unwrap()).collect();
    let under_way: Vec<UnderWay> = held.iter().map(|place| place.held().begin()).collect();
    assert!(matches!(places.enter(B, 1), Err(Full)));
    drop(under_way);
    assert!(places.enter(B, 1).is_ok());
}

#[test]
fn an_address_with_more_than_its_part_goes_first() {
    let places = places(8);
    let polite: Vec<Place> = (0..2).map(|_| places.enter(B, 1).unwrap()).collect();
    let greedy: Vec<Place> = (0..6).map(|_| places.enter(A, 1).unwrap()).collect();
    polite.iter().for_each(|place| at_rest(place, 0));
    let newcomers: Vec<Place> = (0..3).map(|_| places.enter(A, 1).unwrap()).collect();
    assert!(polite.iter().all(|place| !is_gone(place)), "two of eight are its part");
    assert_eq!(greedy.iter().chain(&newcomers).filter(|place| is_gone(place)).count(), 3);
}

#[test]
fn who_moved_a_moment_ago_is_not_at_rest() {
    let places = patient_places(1, Duration::from_secs(30));
    let only = places.enter(A, 1).unwrap();
    assert!(places.enter(B, 1).is_err());
    assert!(!is_gone(&only));
    at_rest(&only, 0);
    assert!(places.enter(B, 1).is_ok());
    assert!(is_gone(&only));
}

/// Nobody of them is at rest, since that takes half a minute.
fn all_moving(limit: usize) -> Places {
    patient_places(limit, Duration::from_secs(30))
}

// else who sends just fast enough keeps everybody else out
#[test]
fn an_address_with_more_than_its_part_loses_what_moves_too_the_longest_held_first() {
    let places = all_moving(8);
    let greedy: Vec<Place> = (0..8).map(|_| places.enter(A, 1).unwrap()).collect();
    greedy[0].held().moved();
    let newcomers: Vec<Place> = (0..2).map(|_| places.enter(B, 1).unwrap()).collect();
    assert_eq!(
        greedy.iter().map(is_gone).collect::<Vec<_>>(),
        [true, true, false, false, false, false, false, false]
    );
    assert!(newcomers.iter().all(|place| !is_gone(place)));
    assert_eq!(places.taken(), 8);
}

#[test]
fn for_its_own_address_nothing_that_moves_has_to_go() {
    let places = all_moving(8);
    let held: Vec<Place> = (0..8).map(|_| places.enter(A, 1).unwrap()).collect();
    assert!(places.enter(A, 1).is_err());
    assert!(held[0].weigh(2).is_err());
    assert!(held.iter().all(|place| !is_gone(place)));
}

#[test]
fn an_address_within_its_part_loses_nothing_that_moves() {
    let places = all_moving(8);
    let mut others: [Vec<Place>; 4] =
        [A, C, D, E].map(|address| (0..2).map(|_| places.enter(address, 1).unwrap()).collect());
    assert!(places.enter(B, 1).is_err(), "each has a quarter");
    assert!(others.iter().flatten().all(|place| !is_gone(place)));
    // One more than its part, and only that one has to go.
    others[3].pop();
    others[0].push(places.enter(A, 1).unwrap());
    let _newcomer = places.enter(B, 1).unwrap();
    assert!(places.enter(B, 1).is_err());
    let gone = others.each_ref().map(|held| held.iter().filter(|place| is_gone(place)).count());
    assert_eq!(gone, [1, 0, 0, 0]);
}

#[test]
fn a_heavy_newcomer_takes_no_more_of_what_moves_than_is_above_the_part_or_nothing() {
    let places = all_moving(8);
    let _other = places.enter(C, 2).unwrap();
    let greedy: Vec<Place> = (0..6).map(|_| places.enter(A, 1).unwrap()).collect();
    assert!(places.enter(B, 5).is_err());
    assert!(greedy.iter().all(|place| !is_gone(place)));
    // What is at rest goes first, though it has been held for a shorter time.
    at_rest(&greedy[5], 0);
    let newcomer = places.enter(B, 2).unwrap();
    assert_eq!(greedy.iter().map(is_gone).collect::<Vec<_>>(), [true, false, false, false, false, true]);
    newcomer.weigh(3).unwrap();
    assert_eq!(greedy.iter().filter(|place| is_gone(place)).count(), 1, "who grows waits like a newcomer");
    assert_eq!(places.taken(), 8);
}

#[test]
fn two_greedy_addresses_do_not_take_from_each_other_in_turn() {
    let places = all_moving(8);
    let first: Vec<Place> = (0..5).map(|_| places.enter(A, 1).unwrap()).collect();
    let mut second: Vec<Place> = (0..3).map(|_| places.enter(B, 1).unwrap()).collect();
    second.push(places.enter(B, 1).unwrap());
    assert!(is_gone(&first[0]), "four and four are equal");
    assert!(places.enter(B, 1).is_err() && places.enter(A, 1).is_err());
    assert!(!first.iter().chain(&second).any(is_gone));
}

#[test]
fn what_is_under_way_stays_also_above_the_part() {
    let places = all_moving(8);
    let greedy: Vec<Place> = (0..8).map(|_| places.enter(A, 1).unwrap()).collect();
    let mut under_way: Vec<UnderWay> = greedy.iter().map(|place| place.held().begin()).collect();
    assert!(places.enter(B, 1).is_err());
    drop(under_way.pop());
    let _newcomer = places.enter(B, 1).unwrap();
    assert!(is_gone(&greedy[7]));
    assert!(places.enter(B, 1).is_err());
}

#[test]
fn a_heavy_newcomer_takes_several_places_or_none() {
    let places = places(10);
    let light: Vec<Place> = (0..10).map(|_| places.enter(A, 1).unwrap()).collect();
    let under_way: Vec<UnderWay> = light.iter().take(6).map(|place| place.held().begin()).collect();
    assert!(places.enter(B, 5).is_err());
    assert!(light.iter().all(|place| !is_gone(place)), "five cannot be had, so that none is taken");
    let heavy = places.enter(B, 4).unwrap();
    assert_eq!(light.iter().filter(|place| is_gone(place)).count(), 4);
    assert_eq!(places.taken(), 10);
    drop((heavy, under_way));
}

#[test]
fn a_place_that_grows_never_takes_itself_back_and_one_that_shrinks_makes_room() {
    let places = places(4);
    let (first, second) = (places.enter(A, 2).unwrap(), places.enter(B, 2).unwrap());
    first.weigh(4).unwrap();
    assert!(is_gone(&second) && !is_gone(&first));
    assert!(second.weigh(1).is_err(), "it was taken back");
    assert!(first.weigh(5).is_err());
    first.weigh(1).unwrap();
    assert_eq!(places.taken(), 1);
    drop(second);
    assert_eq!(places.taken(), 1, "a place that was taken back counts no more");
}

#[test]
fn bytes_that_are_kept_go_with_the_place() {
    let places = places(1);
    let place = places.enter(A, 1).unwrap();
    place.held().keep(Bytes::from_static(b"abc"));
    assert_eq!(place.held().next(2).unwrap(), "ab");
    let _newcomer = places.enter(B, 1).unwrap();
    assert!(place.held().next(2).is_none());
}

#[test]
fn a_host_has_one_address_whether_it_is_written_in_the_old_or_the_new_way() {
    let of = |text: &str| Source::of(text.parse().unwrap());
    assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
    assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    assert_eq!(of("2001:db8::1"), of("2001:db8::2:1"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
}

#[test]
fn some_are_taken_back_where_something_else_has_run_out() {
    let places = places(100);
    let held: Vec<Place> = (0..5).map(|_| places.enter(A, 1).unwrap()).collect();
    let _busy = held[0].held().begin();
    places.take_some_back();
    let gone = held.iter().filter(|place| is_gone(place)).count();
    assert_eq!((gone, is_gone(&held[0])), (1, false));
}

// X-17, CVE-2023-44487
#[test]
fn who_calls_back_more_than_it_waits_for_is_noticed() {
    let places = places(1);
    let place = places.enter(A, 1).unwrap();
    let held = place.held();
    (0..ABANDONED).for_each(|_| drop(held.begin()));
    assert!(!held.calls_too_much_back());
    (0..=ABANDONED).for_each(|_| held.begin().answered());
    drop(held.begin());
    assert!(!held.calls_too_much_back(), "it waits for as many");
    drop(held.begin());
    assert!(held.calls_too_much_back());
}

#[test]
fn who_has_more_under_way_than_streams_is_noticed() {
    let places = places(1);
    let place = places.enter(A, 1).unwrap();
    let held = place.held();
    let all: Vec<UnderWay> = (0..UNDER_WAY_AT_ONCE).map(|_| held.begin()).collect();
    assert!(!held.calls_too_much_back());
    let _one_more = held.begin();
    assert!(held.calls_too_much_back());
    drop(all);
}
