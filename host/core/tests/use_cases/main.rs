//! The use cases on the real store with fakes of the other ports, one file per use case or concern.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod activation_count;
mod activation_order;
mod admission;
mod audit_trail;
mod backing_up;
mod checkpoint;
mod counter;
mod dry_run;
mod evidence;
mod messages;
mod own_policies;
mod owner;
mod parameters;
mod policies;
mod policy_updates;
mod races;
mod reading;
mod recovery;
mod recovery_input;
mod recovery_model;
mod recovery_refused;
mod recovery_secrets;
mod recovery_world;
mod restart;
mod secrecy;
mod secret_upload;
mod secret_upload_dry_run;
mod secret_upload_races;
mod secrets;
mod set_manifest;
mod sign_quote;
mod startup_manifest;
mod status;
mod update_audit;
mod update_guards;
mod update_model;
mod update_packages;
mod update_parties;
mod update_races;
mod update_recovery_keys;
mod update_whole;
mod update_world;
mod upgrade;
mod uploads;
