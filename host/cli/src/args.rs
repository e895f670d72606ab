//! The command line (cli.md sections 1 and 3).

use std::path::PathBuf;

use carrara_client::Address;
use carrara_client::collateral::PccsUrl;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::color::Color;
use crate::commands::{
    attest, audit, backup, certificate, collateral, keygen, manifest, package_info, policy, recover,
    recover_with_signature, restore, secret,
};
use crate::exit;
use crate::output::Format;

/// Verify a coordinator, set its manifest, and use what it keeps.
///
/// HOST is HOST:PORT of the coordinator's client API, without https://. Commands that attest verify the
/// coordinator's quote first; the others trust the certificates that `manifest set` or `manifest verify` saved.
#[derive(Debug, Parser)]
#[command(name = "carrara", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// Where the coordinator's certificates are kept [default: <user config dir>/marblerun/coordinator-cert.pem]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) coordinator_cert: Option<PathBuf>,
    /// Attestation policy, JSON: which coordinators are accepted [default: ./era-config.json if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) era_config: Option<PathBuf>,
    /// Verify no quote and accept any server certificate; for simulation only
    #[arg(short, long, global = true)]
    pub(crate) insecure: bool,
    /// TCB statuses that are accepted
    #[arg(long, global = true, value_delimiter = ',', value_name = "LIST")]
    #[arg(default_value = "UpToDate,SWHardeningNeeded")]
    pub(crate) accepted_tcb_statuses: Vec<String>,
    /// Advisories that are accepted with SWHardeningNeeded [default: all]
    #[arg(long, global = true, value_delimiter = ',', value_name = "LIST")]
    pub(crate) accepted_advisories: Vec<String>,
    /// Text that the quote must be bound to, so that it is fresh
    #[arg(long, global = true, default_value = "", hide_default_value = true, value_name = "TEXT")]
    pub(crate) nonce: String,
    /// Save the coordinator's quote
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) save_sgx_quote: Option<PathBuf>,
    /// PCCS that is asked for Intel's collateral, which quotes of SGX and TDX need: https://HOST:PORT
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) pccs_url: Option<PccsUrl>,
    /// PEM file with the PCCS's own certificate, or with those of its CAs [default: the system's]
    #[arg(long, global = true, value_name = "FILE", requires = "pccs_url")]
    pub(crate) pccs_ca: Option<PathBuf>,
    /// Collateral of `carrara collateral fetch`, used where no PCCS gives it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) collateral: Option<PathBuf>,
    /// How results are printed; warnings and errors are text on stderr either way
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// When texts are coloured
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Tell on stderr what is asked where and how long it takes; twice: also as whom and whom it trusts
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// The root of quotes, in tests; no argument and no variable sets it.
    #[cfg(feature = "testing")]
    #[arg(skip)]
    pub(crate) root: Option<Vec<u8>>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the coordinator's state
    Status {
        /// HOST:PORT
        host: Address,
    },
    /// Write, set, read and verify manifests
    #[command(subcommand)]
    Manifest(manifest::Manifest),
    /// Save certificates of an attested coordinator that was verified before
    #[command(subcommand)]
    Certificate(certificate::Certificate),
    /// Read secrets, and set user-defined ones
    #[command(subcommand)]
    Secret(secret::Secret),
    /// Attest the coordinator and save its root certificate
    Attest(attest::Attest),
    /// Make keys and certificates for a manifest's users and recovery keys
    #[command(subcommand)]
    Keygen(keygen::Keygen),
    /// Write policies, send them to a coordinator, and see what they decide
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Prepare Intel's collateral for where no PCCS can be reached
    #[command(subcommand)]
    Collateral(collateral::Collateral),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Recover(recover::Recover),
    RecoverWithSignature(recover_with_signature::RecoverWithSignature),
    PackageInfo(package_info::PackageInfo),
    /// Print the version of this program, and of a coordinator
    Version {
        /// HOST:PORT of a coordinator whose version is printed, too
        host: Option<Address>,
    },
    /// Print a completion script for a shell
    ///
    /// For bash: carrara completions bash > ~/.local/share/bash-completion/completions/carrara
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write one page per command
    Man {
        /// Write all pages into this folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// Where help shows the flags of [`Identity`].
const IDENTITY: &str = "The user";

/// A certificate and its key, where a command can do without: PEM files, or on a PKCS#11 token.
#[derive(Debug, Args)]
pub(crate) struct Identity {
    /// PEM file with the user's certificate
    #[arg(short, long, help_heading = IDENTITY, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(short, long, help_heading = IDENTITY, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The key is on a token that this file describes: JSON with Path (the PKCS#11 library), TokenLabel, TokenSerial or
    /// SlotNumber, and Pin
    #[arg(long, help_heading = IDENTITY, value_name = "FILE", conflicts_with = "key")]
    pub(crate) pkcs11_config: Option<PathBuf>,
    /// The private key's id on the token, hex or text
    #[arg(long, help_heading = IDENTITY, value_name = "ID", requires = "pkcs11_config", conflicts_with = "key")]
    pub(crate) pkcs11_key_id: Option<String>,
    /// The private key's label on the token
    #[arg(long, help_heading = IDENTITY, value_name = "LABEL", requires = "pkcs11_config", conflicts_with = "key")]
    pub(crate) pkcs11_key_label: Option<String>,
    /// The certificate's id on the token, hex or text
    #[arg(long, help_heading = IDENTITY, value_name = "ID", requires = "pkcs11_config", conflicts_with_all = ["cert", "key"])]
    pub(crate) pkcs11_cert_id: Option<String>,
    /// The certificate's label on the token
    #[arg(long, help_heading = IDENTITY, value_name = "LABEL", requires = "pkcs11_config", conflicts_with_all = ["cert", "key"])]
    pub(crate) pkcs11_cert_label: Option<String>,
}

/// A user's certificate and key, without which a command cannot do.
#[derive(Debug)]
pub(crate) struct User(pub(crate) Identity);

impl Args for User {
    fn augment_args(command: clap::Command) -> clap::Command {
        Identity::augment_args(command)
            .mut_arg("cert", |cert| cert.required_unless_present_any(["pkcs11_cert_id", "pkcs11_cert_label"]))
            .mut_arg("key", |key| key.required_unless_present("pkcs11_config"))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for User {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Identity::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Where help shows the flags of [`HolderKey`].
const HOLDER: &str = "The recovery key";

/// The private key of a recovery key's holder: a PEM file, or on a PKCS#11 token.
#[derive(Debug, Args)]
pub(crate) struct HolderKey {
    /// PEM file with the holder's RSA private key
    #[arg(short, long, help_heading = HOLDER, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The key is on a token that this file describes: JSON with Path (the PKCS#11 library), TokenLabel, TokenSerial or
    /// SlotNumber, and Pin
    #[arg(long, help_heading = HOLDER, value_name = "FILE", conflicts_with = "key")]
    pub(crate) pkcs11_config: Option<PathBuf>,
    /// The private key's id on the token, hex or text
    #[arg(long, help_heading = HOLDER, value_name = "ID", requires = "pkcs11_config")]
    pub(crate) pkcs11_key_id: Option<String>,
    /// The private key's label on the token
    #[arg(long, help_heading = HOLDER, value_name = "LABEL", requires = "pkcs11_config")]
    pub(crate) pkcs11_key_label: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    // cli.md section 1
    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let globals = Arguments::try_parse_from(["carrara", "status", "localhost:4433"]).unwrap().globals;
        assert_eq!(globals.accepted_tcb_statuses, ["UpToDate", "SWHardeningNeeded"]);
        assert!(globals.accepted_advisories.is_empty() && globals.nonce.is_empty() && !globals.insecure);
    }

    #[test]
    fn names_come_before_the_host() {
        let line = ["carrara", "secret", "get", "a", "b", "localhost:4433", "-c", "c", "-k", "k"];
        let Command::Secret(secret::Secret::Get { names, host, .. }) =
            Arguments::try_parse_from(line).unwrap().command
        else {
            panic!()
        };
        assert_eq!(
            (names, host.to_string()),
            (vec!["a".to_owned(), "b".to_owned()], "localhost:4433".to_owned())
        );
        for line in [&line[..5], &["carrara", "secret", "get", "a", "localhost:4433", "-c", "c"][..]] {
            assert!(Arguments::try_parse_from(line).is_err(), "{line:?}");
        }
    }

    // cli.md section 3, "U"
    #[test]
    fn a_user_has_files_or_a_token() {
        let parse = |flags: &[&str]| {
            Arguments::try_parse_from(["carrara", "secret", "get", "a", "localhost:1"].iter().chain(flags))
                .is_ok()
        };
        let token = ["--pkcs11-config", "p.json", "--pkcs11-key-id", "01"];
        let with = |more: &[&'static str]| [&token[..], more].concat();
        assert!(parse(&["-c", "c", "-k", "k"]));
        assert!(parse(&with(&["--pkcs11-cert-label", "l"])) && parse(&with(&["--pkcs11-cert-id", "01"])));
        assert!(parse(&with(&["-c", "c"])));
        for refused in [&["-c", "c"][..], &["-k", "k"], &token, &with(&["-c", "c", "-k", "k"])] {
            assert!(!parse(refused), "{refused:?}");
        }
        assert!(!parse(&["-c", "c", "-k", "k", "--pkcs11-key-id", "01"]));
    }

    #[test]
    fn a_host_with_a_scheme_is_refused_with_the_form_that_is_expected() {
        let error = Arguments::try_parse_from(["carrara", "status", "https://localhost:4433"]).unwrap_err();
        assert!(error.to_string().contains("HOST:PORT"), "{error}");
    }
}
