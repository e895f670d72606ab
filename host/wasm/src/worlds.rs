//! One file per policy world: what the question looks like to a guest and what its answer must look like.

#![allow(unreachable_pub)] // the generated bindings re-export what they are given, and only public names can be

pub mod admission;
pub mod authorization;
pub mod configuration;
pub mod rendering;
pub mod validation;
pub mod words;
