//! Whom a command trusts: an attested coordinator, the one whose certificates were saved, or with --insecure anybody.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::attest::attest_insecure;
use carrara_client::collateral::{Pccs, PccsTrust, Source};
use carrara_client::{
    Address, AttestationPolicy, Attested, Chain, Client, ClientIdentity, QuoteVerifier, Trust, attest,
};
use rustls::pki_types::UnixTime;
use sha2::{Digest, Sha256};

use crate::args::{Globals, Identity, User};
use crate::files;
use crate::output::complain;
use crate::{token, verbose};

/// Read when --era-config is not given.
const DEFAULT_POLICY_FILE: &str = "era-config.json";
/// Below the user's configuration folder.
const DEFAULT_CACHE_FILE: &str = "marblerun/coordinator-cert.pem";

/// One command's view of one coordinator.
pub(crate) struct Session<'a> {
    globals: &'a Globals,
    host: &'a Address,
}

impl<'a> Session<'a> {
    /// Connects nowhere yet.
    pub(crate) fn new(globals: &'a Globals, host: &'a Address) -> Self {
        Self { globals, host }
    }

    /// Attests (C-1..C-4), or with --insecure just fetches the certificates. Saves the quote if asked to.
    pub(crate) async fn attest(&self) -> Result<Attested> {
        let anybody = self.client(Trust::Insecure);
        let nonce = self.globals.nonce.as_bytes();
        let attested = if self.globals.insecure {
            complain(
                "Warning: --insecure: the coordinator's quote is not verified and any server is accepted",
            );
            attest_insecure(&anybody, nonce).await
        } else {
            attest(&anybody, &self.policy()?, &self.verifier()?, nonce, now()?).await
        };
        let attested = attested.with_context(|| format!("attesting the coordinator at {}", self.host))?;
        for warning in &attested.warnings {
            complain(&format!("Warning: {warning}"));
        }
        self.save_quote(&attested)?;
        Ok(attested)
    }

    /// A client of the coordinator that was just attested.
    pub(crate) fn attested_client(&self, attested: &Attested) -> Client {
        self.client(attested.trust.clone())
    }

    fn client(&self, trust: Trust) -> Client {
        verbose::watched(Client::new(self.host.clone(), trust), self.host, self.globals.verbose)
    }

    /// A client of the coordinator whose certificates were saved.
    pub(crate) fn cached_client(&self) -> Result<Client> {
        let trust = if self.globals.insecure {
            complain("Warning: --insecure: any server is accepted");
            Trust::Insecure
        } else {
            Trust::Root(self.cached_chain()?.root().clone())
        };
        Ok(self.client(trust))
    }

    /// A client of the coordinator whose certificates were saved; where none were, of the one that is attested now.
    pub(crate) async fn trusted_client(&self) -> Result<Client> {
        let is_saved = self.cache_path().is_ok_and(|path| path.exists());
        if self.globals.insecure || is_saved {
            return self.cached_client();
        }
        let attested = self.attest().await?;
        Ok(self.attested_client(&attested))
    }

    /// As [`Session::cached_client`], with a user's certificate.
    pub(crate) fn user_client(&self, user: &User) -> Result<Client> {
        self.identified(self.cached_client()?, &user.0)
    }

    /// The client, with a certificate if one is given.
    pub(crate) fn identified(&self, client: Client, user: &Identity) -> Result<Client> {
        let identity = match (&user.pkcs11_config, &user.cert, &user.key) {
            (None, None, None) => return Ok(client),
            (Some(config), _, _) => token::identity(config, user)?,
            (None, Some(cert), Some(key)) => {
                ClientIdentity::from_pem(&files::read(cert)?, &files::read(key)?).with_context(|| {
                    format!("using the certificate {} with the key {}", cert.display(), key.display())
                })?
            }
            _ => bail!(
                "give the certificate and its key with --cert and --key, or a token with --pkcs11-config"
            ),
        };
        verbose::introduce(identity.certificate(), self.globals.verbose);
        Ok(client.with_identity(identity))
    }

    /// The certificates that were saved.
    pub(crate) fn cached_chain(&self) -> Result<Chain> {
        let path = self.cache_path()?;
        let content = files::read(&path).context(
            "reading the coordinator's saved certificates; run `carrara manifest verify` (or `manifest set`) first, \
             or name a PEM file with --coordinator-cert",
        )?;
        Chain::from_pem(&content).with_context(|| {
            format!(
                "using the coordinator's saved certificates {}; run `carrara manifest verify` again",
                path.display()
            )
        })
    }

    /// Saves the certificates for later commands. Those of another coordinator are not replaced in silence.
    pub(crate) fn cache(&self, chain: &Chain) -> Result<()> {
        let path = self.cache_path()?;
        let saved = files::read(&path).ok().and_then(|content| Chain::from_pem(&content).ok());
        if let Some(saved) = saved.filter(|saved| saved.root() != chain.root()) {
            complain(&format!(
                "Warning: the coordinator's root certificate changed from {} to {}: {} held the first and holds the \
                 second from now on. Either {} was recovered or reset, or the certificates were saved from another \
                 coordinator (keep each one's in a file of its own with --coordinator-cert). If you expected neither, \
                 this may not be your coordinator",
                fingerprint(&saved),
                fingerprint(chain),
                path.display(),
                self.host,
            ));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            files::make_folder(folder)?;
        }
        files::write(&path, chain.to_pem().as_bytes()).context("saving the coordinator's certificates")
    }

    /// What this session talks to.
    pub(crate) fn host(&self) -> &Address {
        self.host
    }

    /// Where the certificates are saved.
    pub(crate) fn cache_path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.globals.coordinator_cert {
            return Ok(path.clone());
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        match folder {
            Some(folder) => Ok(folder.join(DEFAULT_CACHE_FILE)),
            None => bail!(
                "there is no home directory for the coordinator's certificates; give --coordinator-cert"
            ),
        }
    }

    /// cli.md section 2; the flags win over the file.
    fn policy(&self) -> Result<AttestationPolicy> {
        let default = Path::new(DEFAULT_POLICY_FILE);
        let path = match &self.globals.era_config {
            Some(path) => path,
            None if default.exists() => default,
            None => bail!(
                "there is no attestation policy: name the file that says which coordinator is expected with --era-config \
                 (`carrara package-info` prints one for its enclave), or use --insecure in simulation"
            ),
        };
        let policy = AttestationPolicy::from_json(&files::read(path)?)
            .with_context(|| format!("reading the attestation policy {}", path.display()))?;
        Ok(AttestationPolicy {
            accepted_tcb_statuses: self.globals.accepted_tcb_statuses.clone(),
            accepted_advisories: self.globals.accepted_advisories.clone(),
            ..policy
        })
    }

    /// What judges quotes.
    fn verifier(&self) -> Result<QuoteVerifier> {
        let source = self.collateral()?;
        #[cfg(feature = "testing")]
        if let Some(root) = &self.globals.root {
            return Ok(QuoteVerifier::with_root(root.clone(), source));
        }
        Ok(QuoteVerifier::new(source))
    }

    /// Where collateral is from. Nobody is asked yet.
    fn collateral(&self) -> Result<Source> {
        let mut source = Source::default();
        if let Some(pccs) = pccs(self.globals)? {
            source = source.with_pccs(pccs);
        }
        if let Some(path) = &self.globals.collateral {
            source = source.with_bundle(path.clone());
        }
        Ok(source)
    }

    fn save_quote(&self, attested: &Attested) -> Result<()> {
        let Some(path) = &self.globals.save_sgx_quote else { return Ok(()) };
        match &attested.quote {
            Some(quote) => files::write(path, quote),
            None => {
                complain("Warning: the coordinator runs in simulation and has no quote; none was saved");
                Ok(())
            }
        }
    }
}

/// The PCCS of `--pccs-url`. It is not asked yet.
pub(crate) fn pccs(globals: &Globals) -> Result<Option<Pccs>> {
    let Some(url) = &globals.pccs_url else { return Ok(None) };
    let trust = match &globals.pccs_ca {
        Some(path) => PccsTrust::pem(&files::read(path)?)
            .with_context(|| format!("using the PCCS's certificates {}", path.display()))?,
        None if url.is_tls() => PccsTrust::system().context("trusting the PCCS; see --pccs-ca")?,
        None => PccsTrust::nobody()?,
    };
    Ok(Some(Pccs::new(url.clone(), trust)))
}

/// A coordinator's name: the hex SHA-256 of its root certificate.
pub(crate) fn fingerprint(chain: &Chain) -> String {
    hex::encode(Sha256::digest(chain.root()))
}

/// Unix seconds, by which collateral is judged: the user's clock is the user's own.
fn now() -> Result<i64> {
    i64::try_from(UnixTime::now().as_secs()).context("the system's clock is wrong; set it")
}
