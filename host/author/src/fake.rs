//! For tests: something that answers as a policy does, and may be what no component can be, such as different each time.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::Cell;
use std::time::Duration;

use carrara_types::decision::Denial;
use carrara_wasm::{CallReport, EngineLimits, Limits, SettingsError, World};

use crate::asked::Asked;
use crate::question::{Answer, Question};

type Answering = Box<dyn Fn(&str, &Question) -> Answer>;
type Judging = Box<dyn Fn(&str) -> Result<Vec<SettingsError>, String>>;

pub(crate) struct Fake {
    world: World,
    answer: Answering,
    judge: Judging,
    fuel: Box<dyn Fn(u64) -> u64>,
    duration: Duration,
    calls: Cell<u64>,
}

pub(crate) fn deny(code: &str) -> Answer {
    Answer::Deny(Denial { code: code.to_owned(), message: "m".to_owned(), ..Denial::default() })
}

impl Fake {
    pub(crate) fn new(world: World, answer: impl Fn(&str, &Question) -> Answer + 'static) -> Self {
        Self {
            world,
            answer: Box::new(answer),
            judge: Box::new(|_| Ok(Vec::new())),
            fuel: Box::new(|_| 1),
            duration: Duration::from_micros(1),
            calls: Cell::new(0),
        }
    }

    /// By the number of the call.
    pub(crate) fn with_fuel(mut self, fuel: impl Fn(u64) -> u64 + 'static) -> Self {
        self.fuel = Box::new(fuel);
        self
    }

    pub(crate) fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    pub(crate) fn judging(
        mut self,
        judge: impl Fn(&str) -> Result<Vec<SettingsError>, String> + 'static,
    ) -> Self {
        self.judge = Box::new(judge);
        self
    }
}

impl Asked for Fake {
    fn world(&self) -> World {
        self.world
    }

    fn limits(&self) -> Limits {
        EngineLimits::default().of(self.world)
    }

    fn check_settings(&self, settings: &str) -> Result<Vec<SettingsError>, String> {
        (self.judge)(settings)
    }

    fn ask(&self, settings: &str, question: &Question) -> (Answer, CallReport) {
        let call = self.calls.get();
        self.calls.set(call + 1);
        let report =
            CallReport { fuel: (self.fuel)(call), duration: self.duration, memory: 1 << 16, log: Vec::new() };
        ((self.answer)(settings, question), report)
    }
}
