//! `completions SHELL` and `man`: made from the command line's own definition, so that they cannot be wrong.

use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use serde_json::json;

use crate::args::Arguments;
use crate::files;
use crate::output::Output;

/// The program's name in scripts and pages.
const NAME: &str = "carrara";

pub(crate) fn completions(shell: Shell, output: &mut Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut script);
    output.bytes(&script)?;
    output.result(&json!({ "shell": shell.to_string(), "script": String::from_utf8_lossy(&script) }))
}

/// One page per command into `folder`, or the program's own page.
pub(crate) fn man(folder: Option<&Path>, output: &mut Output) -> Result<()> {
    let mut command = Arguments::command();
    command.build();
    let Some(folder) = folder else {
        let page = page(&command)?;
        output.bytes(&page)?;
        return output.result(&json!({ "page": String::from_utf8_lossy(&page) }));
    };
    if !folder.is_dir() {
        files::make_folder(folder)?;
    }
    let mut written = Vec::new();
    write_pages(&command, folder, &mut written)?;
    written.iter().try_for_each(|path| output.line(&format!("Page written to {path}")))?;
    output.result(&json!({ "files": written }))
}

fn write_pages(command: &Command, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let path = folder.join(format!("{name}.1"));
    // Pages are for everybody, unlike what other commands write.
    std::fs::write(&path, page(command)?)
        .with_context(|| format!("writing {}; check the folder and its permissions", path.display()))?;
    written.push(path.display().to_string());
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help");
    subcommands.into_iter().try_for_each(|command| write_pages(command, folder, written))
}

fn page(command: &Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).context("writing a man page")?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    #[test]
    fn every_shell_gets_a_script_that_names_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let kept = Kept::default();
            completions(shell, &mut kept.output(Format::Text)).unwrap();
            assert!(kept.text().contains("keygen") && kept.text().contains("insecure"), "{shell}");
        }
    }

    #[test]
    fn every_command_has_its_page() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::default();
        man(Some(&folder.path().join("man1")), &mut kept.output(Format::Text)).unwrap();
        for name in ["carrara", "carrara-manifest", "carrara-manifest-set", "carrara-secret-get"] {
            let page = std::fs::read_to_string(folder.path().join("man1").join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
        let kept = Kept::default();
        man(None, &mut kept.output(Format::Text)).unwrap();
        assert!(kept.text().contains("Exit codes"), "{}", kept.text());
    }
}
