//! Files of the command-line tool that read what users give it, as they are: the tool is a program and no library.
#![allow(dead_code, missing_docs, clippy::all, reason = "the program's own files; it uses the rest of them")]

#[path = "../../../host/cli/src/manifest_file.rs"]
pub(crate) mod manifest_file;
#[path = "../../../host/cli/src/yaml_marks.rs"]
pub(crate) mod yaml_marks;
