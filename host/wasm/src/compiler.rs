//! Compiles the components of manifests: off the requests' path, one at a time, each digest once.
//!
//! A compiled component lives as long as a set that uses it; the last few live on, since a manifest is often proposed,
//! refused, corrected and proposed again. What nobody wants any more when its turn comes is not compiled.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use carrara_core::ports::Components;
use carrara_types::policy::Digest;
use tokio::sync::watch;
use wasmtime::component::Component;

use crate::clock::Runtime;
use crate::engine::{Surroundings, engine};
use crate::inspect::Surface;
use crate::loader::{compile, digest};

/// Compiled components that are kept though no set uses them: CPython's is 31 MiB.
const KEPT: usize = 4;

/// The stack of the thread that compiles: deeply nested code needs some of it.
const STACK_BYTES: usize = 8 << 20;

/// Whatever further source has, it does not matter.
const ALL: usize = usize::MAX;

/// A component that is there, or will be.
pub(crate) struct Compiled {
    pub(crate) digest: Digest,
    state: watch::Sender<State>,
    /// Where its bytes may be, while it is not compiled.
    sources: Mutex<Vec<Arc<dyn Components>>>,
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
        Self { digest, state: watch::Sender::new(state), sources: Mutex::new(sources) }
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
        let settled = sources.len() <= asked;
        if settled {
            sources.clear();
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
    /// Started with the first component: a coordinator without policies of its own needs no clock for them.
    runtime: OnceLock<Result<Arc<Runtime>, Arc<str>>>,
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
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self(Arc::new(Workshop { surroundings, runtime: OnceLock::new(), shelf: Mutex::default() }))
    }

    /// The component of that digest. What was not to be had before is tried again: its bytes may be there now.
    pub(crate) fn want(&self, digest: Digest, components: &Arc<dyn Components>) -> Arc<Compiled> {
        let mut shelf = locked(&self.0.shelf);
        if let Some(known) = shelf.known.get(&digest).and_then(Weak::upgrade) {
            // Under the lock, so that a settled component gets no further source.
            let mut sources = locked(&known.sources);
            match known.state() {
                State::Ready(_) => {
                    drop(sources);
                    return known;
                }
                State::Compiling => {
                    sources.push(Arc::clone(components));
                    drop(sources);
                    return known;
                }
                State::Unavailable(_) => {}
            }
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
        let code = bytes(wanted).and_then(|bytes| {
            // A compiler that fails on some input must not take the next components with it.
            let code = catch_unwind(AssertUnwindSafe(|| self.code(&bytes)));
            code.unwrap_or_else(|_| Err("the compiler failed on it".to_owned()))
                .map_err(|reason| (reason, ALL))
        });
        match code {
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
        let runtime = self.runtime()?;
        let component = compile(runtime.engine(), bytes).map_err(|error| error.to_string())?;
        Ok(Code { component, runtime, surface: Some(surface) })
    }

    fn runtime(&self) -> Result<Arc<Runtime>, String> {
        let start = || {
            let engine = engine(self.surroundings).map_err(|error| error.to_string())?;
            Runtime::start(engine).map(Arc::new).map_err(|error| error.to_string())
        };
        let runtime = self.runtime.get_or_init(|| start().map_err(Into::into));
        runtime.clone().map_err(|reason| reason.to_string())
    }
}

/// The component's bytes, from the first source that has them, never others than those that the digest names; or why
/// there are none, and how many sources were asked.
fn bytes(wanted: &Compiled) -> Result<Vec<u8>, (String, usize)> {
    let mut reason = format!("the component {} is not there", wanted.digest);
    for asked in 0.. {
        // Further sources may come while one is asked.
        let source = locked(&wanted.sources).get(asked).cloned();
        let Some(source) = source else { return Err((reason, asked)) };
        match source.component(&wanted.digest) {
            Ok(Some(bytes)) if digest(&bytes) == wanted.digest.0 => return Ok(bytes),
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
