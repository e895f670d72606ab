//! Compiles the components of manifests: off the requests' path, one at a time, each digest once.
//!
//! A compiled component lives as long as a set that uses it; the last few live on, since a manifest is often proposed,
//! refused, corrected and proposed again. What nobody wants any more when its turn comes is not compiled.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use carrara_core::ports::Components;
use carrara_types::policy::Digest;
use tokio::sync::watch;
use wasmtime::component::Component;

use crate::clock::Runtime;
use crate::engine::{Surroundings, engine};
use crate::inspect::Surface;
use crate::loader::{compile, digest};

/// Compiled components that are kept though no set uses them: CPython's is 31 MiB, in an enclave 50.
const KEPT: usize = if cfg!(feature = "enclave") { 1 } else { 4 };

/// The stack of the thread that compiles: deeply nested code needs some of it.
const STACK_BYTES: usize = 8 << 20;

/// Sources that one component has while its turn has not come. Each may hold what was sent along with a proposal, also when whoever sent it
/// is gone; with more, the component is wanted anew, and those who wait hold what they sent themselves.
const MOST_SOURCES: usize = 4;

/// Whatever further source has, it does not matter.
const ALL: usize = usize::MAX;

/// A component that is there, or will be.
pub(crate) struct Compiled {
    pub(crate) digest: Digest,
    state: watch::Sender<State>,
    /// Where its bytes may be, each source once; none when they were found.
    sources: Mutex<Option<Vec<Arc<dyn Components>>>>,
}

/// How far a component is.
#[derive(Clone)]
pub(crate) enum State {
    /// Its turn will come.
    Compiling,
    /// It can be linked.
    Ready(Arc<Code>),
    /// It cannot be used; why, for the log and for whoever proposes it.
    Unavailable(Arc<str>),
}

/// A compiled component, what runs it, and what it offers.
pub(crate) struct Code {
    pub(crate) component: Component,
    pub(crate) runtime: Arc<Runtime>,
    /// None for a built-in policy, whose world is known.
    pub(crate) surface: Option<Surface>,
}

impl Compiled {
    /// A component that is there.
    #[cfg(feature = "builtin")]
    pub(crate) fn ready(digest: Digest, code: Code) -> Self {
        Self::with(digest, State::Ready(Arc::new(code)), Vec::new())
    }

    fn with(digest: Digest, state: State, sources: Vec<Arc<dyn Components>>) -> Self {
        Self { digest, state: watch::Sender::new(state), sources: Mutex::new(Some(sources)) }
    }

    /// One more source. `false` if this component is of no use to whoever has it: it cannot be used, or has no room for sources.
    fn offer(&self, components: &Arc<dyn Components>) -> bool {
        // Under the lock, so that a settled component gets no further source.
        let mut sources = locked(&self.sources);
        match (self.state(), sources.as_mut()) {
            (State::Ready(_), _) | (State::Compiling, None) => true,
            (State::Unavailable(_), _) => false,
            (State::Compiling, Some(sources)) => {
                let known = sources.iter().any(|source| Arc::ptr_eq(source, components));
                let takes = known || sources.len() < MOST_SOURCES;
                if takes && !known {
                    sources.push(Arc::clone(components));
                }
                takes
            }
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// How it ended, when it has.
    pub(crate) async fn settled(&self) -> State {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Compiling)).await;
        settled
            .map_or_else(|_| State::Unavailable("the coordinator is stopping".into()), |state| state.clone())
    }

    /// `false` if a source was added meanwhile that has not been asked.
    fn settle(&self, state: State, asked: usize) -> bool {
        let mut sources = locked(&self.sources);
        let settled = sources.as_ref().is_none_or(|sources| sources.len() <= asked);
        if settled {
            *sources = None;
            self.state.send_replace(state);
        }
        settled
    }
}

/// Compiles what is wanted.
#[derive(Clone)]
pub(crate) struct Compiler(Arc<Workshop>);

struct Workshop {
    surroundings: Surroundings,
    /// Bytes that compiling a component may take.
    memory: u64,
    /// Started with the first component: a coordinator without policies of its own needs no clock for them.
    /// What keeps it from starting may pass, such as a lack of threads: it is tried again for the next one.
    runtime: Mutex<Option<Arc<Runtime>>>,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    known: HashMap<Digest, Weak<Compiled>>,
    kept: VecDeque<Arc<Compiled>>,
    queue: VecDeque<Weak<Compiled>>,
    working: bool,
}

impl Compiler {
    /// `memory`: bytes that compiling a component may take; one that would take more cannot be used.
    pub(crate) fn new(surroundings: Surroundings, memory: u64) -> Self {
        Self(Arc::new(Workshop { surroundings, memory, runtime: Mutex::default(), shelf: Mutex::default() }))
    }

    /// The component of that digest. What was not to be had before is tried again: its bytes may be there now.
    pub(crate) fn want(&self, digest: Digest, components: &Arc<dyn Components>) -> Arc<Compiled> {
        let mut shelf = locked(&self.0.shelf);
        if let Some(known) = shelf.known.get(&digest).and_then(Weak::upgrade)
            && known.offer(components)
        {
            return known;
        }
        let wanted = Arc::new(Compiled::with(digest, State::Compiling, vec![Arc::clone(components)]));
        shelf.known.retain(|_, known| known.strong_count() > 0);
        shelf.known.insert(digest, Arc::downgrade(&wanted));
        shelf.queue.push_back(Arc::downgrade(&wanted));
        if !shelf.working {
            shelf.working = self.start();
        }
        if !shelf.working {
            shelf.queue.clear();
            wanted.settle(State::Unavailable("no thread could be started to compile it".into()), ALL);
        }
        wanted
    }

    /// Whether a thread works on the queue.
    fn start(&self) -> bool {
        let workshop = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("policy-compiler".to_owned()).stack_size(STACK_BYTES);
        let started = thread.spawn(move || while workshop.work_once() {});
        if let Err(error) = &started {
            tracing::error!(error = error.to_string(), "no thread to compile policies");
        }
        started.is_ok()
    }
}

impl Workshop {
    /// Compiles what is next. `false` when nothing is left, and the thread ends.
    fn work_once(&self) -> bool {
        let mut shelf = locked(&self.shelf);
        let Some(next) = shelf.queue.pop_front() else {
            shelf.working = false;
            return false;
        };
        drop(shelf);
        if let Some(wanted) = next.upgrade() {
            self.settle(wanted);
        }
        true
    }

    fn settle(&self, wanted: Arc<Compiled>) {
        loop {
            let (state, asked) = self.compile(&wanted);
            let ready = matches!(state, State::Ready(_));
            if wanted.settle(state, asked) {
                if ready {
                    self.keep(wanted);
                }
                return;
            }
        }
    }

    fn keep(&self, compiled: Arc<Compiled>) {
        let mut shelf = locked(&self.shelf);
        shelf.kept.push_back(compiled);
        let surplus = shelf.kept.len().saturating_sub(KEPT);
        let old: Vec<_> = shelf.kept.drain(..surplus).collect();
        drop(shelf);
        drop(old);
    }

    /// How it ended, and how many sources were asked.
    fn compile(&self, wanted: &Compiled) -> (State, usize) {
        let component = wanted.digest.to_string();
        let began = Instant::now();
        // What fails on one component, be it the compiler or the store, must not take the next ones with it: this thread
        // is the only one, and nobody would start another.
        let code = catch_unwind(AssertUnwindSafe(|| {
            let bytes = bytes(wanted)?;
            self.code(&bytes).map_err(|reason| (reason, ALL))
        }));
        match code.unwrap_or_else(|_| Err(("the coordinator failed while it compiled it".to_owned(), ALL))) {
            Ok(code) => {
                let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(component, duration_ms, "compiled a policy");
                (State::Ready(Arc::new(code)), ALL)
            }
            Err((reason, asked)) => {
                tracing::warn!(component, reason, "a policy cannot be used");
                (State::Unavailable(reason.into()), asked)
            }
        }
    }

    fn code(&self, bytes: &[u8]) -> Result<Code, String> {
        let surface = Surface::read(bytes).map_err(|error| error.to_string())?;
        surface.compiles_within(self.memory).map_err(|error| error.to_string())?;
        let runtime = self.runtime()?;
        let component = compile(runtime.engine(), bytes).map_err(|error| error.to_string())?;
        Ok(Code { component, runtime, surface: Some(surface) })
    }

    fn runtime(&self) -> Result<Arc<Runtime>, String> {
        started(&self.runtime, || {
            let engine = engine(self.surroundings).map_err(|error| error.to_string())?;
            Runtime::start(engine).map(Arc::new).map_err(|error| error.to_string())
        })
    }
}

/// What is there, or is started now. A failure is not kept.
fn started<T: Clone>(
    place: &Mutex<Option<T>>,
    start: impl FnOnce() -> Result<T, String>,
) -> Result<T, String> {
    let mut place = locked(place);
    if let Some(there) = &*place {
        return Ok(there.clone());
    }
    let new = start()?;
    *place = Some(new.clone());
    Ok(new)
}

/// The component's bytes, from the first source that has them, never others than those that the digest names; or why
/// there are none, and how many sources were asked.
fn bytes(wanted: &Compiled) -> Result<Vec<u8>, (String, usize)> {
    let mut reason = format!("the component {} is not there", wanted.digest);
    for asked in 0.. {
        // Further sources may come while one is asked.
        let source = locked(&wanted.sources).as_ref().and_then(|sources| sources.get(asked).cloned());
        let Some(source) = source else { return Err((reason, asked)) };
        // One that fails does not hide the next one.
        let found = catch_unwind(AssertUnwindSafe(|| source.component(&wanted.digest)));
        let Ok(found) = found else {
            reason = format!("the coordinator failed while it read the component {}", wanted.digest);
            continue;
        };
        match found {
            Ok(Some(bytes)) if digest(&bytes) == wanted.digest.0 => {
                // What the sources hold is not needed while it is compiled.
                *locked(&wanted.sources) = None;
                return Ok(bytes);
            }
            Ok(Some(_)) => reason = format!("what is stored as {} is another component", wanted.digest),
            Ok(None) => {}
            Err(error) => reason = format!("the component {} cannot be read: {error}", wanted.digest),
        }
    }
    Err((reason, ALL))
}

/// Nothing that is done under these locks can leave them half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use carrara_core::ports::StoreError;

    use super::*;

    /// A store that fails in a way that nobody expects.
    struct Failing;

    impl Components for Failing {
        fn component(&self, _: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
            std::panic::panic_any("in a test")
        }
    }

    struct Store(Vec<u8>);

    impl Components for Store {
        fn component(&self, _: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(Some(self.0.clone()))
        }
    }

    #[tokio::test]
    async fn a_store_that_fails_does_not_end_the_compiler() {
        let component = wat::parse_str("(component)").unwrap();
        let named = Digest(digest(&component));
        let compiler = Compiler::new(Surroundings::of_this_build(), u64::MAX);
        let (failing, store): (Arc<dyn Components>, Arc<dyn Components>) =
            (Arc::new(Failing), Arc::new(Store(component)));
        let failed = compiler.want(named, &failing).settled().await;
        assert!(matches!(failed, State::Unavailable(reason) if reason.contains("the coordinator failed")));
        assert!(matches!(compiler.want(named, &store).settled().await, State::Ready(_)));
        let both = Compiled::with(named, State::Compiling, vec![failing, store]);
        assert!(bytes(&both).is_ok(), "the next source is asked");
    }

    // P-22
    #[tokio::test]
    async fn what_takes_more_memory_to_compile_than_there_may_be_is_not_compiled() {
        let component = wat::parse_str("(component (core module (func)))").unwrap();
        let footprint = Surface::read(&component).unwrap().footprint;
        let store: Arc<dyn Components> = Arc::new(Store(component.clone()));
        let settled = async |memory| {
            let compiler = Compiler::new(Surroundings::of_this_build(), memory);
            compiler.want(Digest(digest(&component)), &store).settled().await
        };
        assert!(matches!(settled(footprint).await, State::Ready(_)));
        let State::Unavailable(reason) = settled(footprint - 1).await else { panic!("it was compiled") };
        let expected = "compiling the component takes about 5 MiB of memory; at most 4 MiB are allowed here: make it smaller, or raise \
                        `compiling-mib` of the coordinator where it has the memory";
        assert_eq!(*reason, *expected);
    }

    // What was sent along with a proposal is as large as 32 MiB.
    #[test]
    fn sources_are_held_once_each_and_few_and_only_until_the_bytes_are_found() {
        let source = |bytes: &[u8]| -> Arc<dyn Components> { Arc::new(Store(bytes.to_vec())) };
        let wanted = Compiled::with(Digest(digest(b"it")), State::Compiling, Vec::new());
        let sources: Vec<_> = [b"no" as &[u8], b"it", b"it", b"it", b"it"].map(source).into();
        let held = || sources.iter().map(|source| Arc::strong_count(source) - 1).collect::<Vec<_>>();
        for (index, source) in sources.iter().enumerate() {
            assert_eq!(wanted.offer(source), index < MOST_SOURCES, "{index}");
            assert_eq!(wanted.offer(source), index < MOST_SOURCES, "{index} again");
        }
        assert_eq!(held(), [1, 1, 1, 1, 0]);
        assert_eq!(bytes(&wanted).unwrap(), b"it");
        assert!(wanted.offer(&sources[4]), "it is being compiled");
        assert_eq!(held(), [0; 5]);
        assert!(wanted.settle(State::Unavailable("in a test".into()), ALL) && !wanted.offer(&sources[0]));
        assert_eq!(held(), [0; 5]);
    }

    #[test]
    fn what_could_not_be_started_is_tried_again_and_what_runs_is_kept() {
        let place = Mutex::new(None);
        assert_eq!(started(&place, || Err("no thread".to_owned())), Err("no thread".to_owned()));
        assert_eq!(started(&place, || Ok(1)), Ok(1));
        assert_eq!(started(&place, || Err("no thread".to_owned())), Ok(1));
    }
}
