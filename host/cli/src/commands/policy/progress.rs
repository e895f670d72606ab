//! Shows how a build goes on: the step and its seconds on a terminal, the compiler's messages anywhere.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use carrara_author::build::Progress;

use crate::output::{complain, escaped};

/// Often enough to look alive.
const TURN: Duration = Duration::from_millis(125);

/// One of them at a time.
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// Moves to the beginning of the line and empties it.
const EMPTY_LINE: &str = "\r\u{1b}[K";

/// A build that somebody may watch. Dropped, it leaves no trace of its own.
pub(super) struct Steps {
    /// The step that goes on; none where nobody sees it.
    step: Option<Arc<Mutex<Option<Step>>>>,
    stop: Option<Sender<()>>,
    spinner: Option<JoinHandle<()>>,
}

struct Step {
    text: String,
    began: Instant,
}

impl Steps {
    /// Steps are shown on a terminal only.
    pub(super) fn new() -> Self {
        let mut steps = Self { step: None, stop: None, spinner: None };
        if std::io::stderr().is_terminal() {
            let step = Arc::new(Mutex::new(None));
            let (stop, stopped) = channel::<()>();
            let shown = Arc::clone(&step);
            let spinner = std::thread::Builder::new().spawn(move || {
                for turn in SPINNER.iter().cycle() {
                    if stopped.recv_timeout(TURN) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                    show(&shown, *turn);
                }
            });
            // Without it a build is only quieter.
            steps.spinner = spinner.ok();
            (steps.step, steps.stop) = (Some(step), Some(stop));
        }
        steps
    }
}

fn show(step: &Mutex<Option<Step>>, turn: char) {
    // Held while writing, so that no message comes in between.
    let step = step.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Step { text, began }) = &*step {
        let line = format!("{EMPTY_LINE}{turn} {} ({} s)", escaped(text), began.elapsed().as_secs());
        write(&line);
    }
}

/// Without stderr there is nobody to show it to.
fn write(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

impl Progress for Steps {
    fn step(&self, text: &str) {
        if let Some(step) = &self.step {
            *step.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Step { text: text.to_owned(), began: Instant::now() });
            show(step, ' ');
        }
    }

    fn tool_output(&self, line: &str) {
        let held = self.step.as_ref().map(|step| step.lock().unwrap_or_else(PoisonError::into_inner));
        if held.is_some() {
            write(EMPTY_LINE);
        }
        complain(line);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(spinner) = self.spinner.take() {
            // It only draws; there is nothing to do if it failed.
            let _ = spinner.join();
        }
        if self.step.is_some() {
            write(EMPTY_LINE);
        }
    }
}
