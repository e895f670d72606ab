//! The owner: whoever holds the key of the certificate that was configured. She alone sets the first manifest, or a new one
//! in recovery. Once a manifest is set she is nobody: the manifest's users and roles decide.

use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::error::Cause;

/// The certificate of the owner, compared by its DER like users' certificates: its dates and its issuer do not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerCertificate(Vec<u8>);

impl OwnerCertificate {
    /// Reads PEM with exactly one certificate.
    ///
    /// # Errors
    /// There is none, there are several, or it is no X.509 certificate: nobody could ever present it.
    pub fn from_pem(text: &[u8]) -> Result<Self, Cause> {
        let blocks = pem::parse_many(text).map_err(|_| Cause("it is not PEM".to_owned()))?;
        if blocks.iter().any(|block| block.tag().contains("PRIVATE")) {
            return Err(Cause("it holds a private key, which nobody but the owner may have".to_owned()));
        }
        let mut certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
        let (Some(certificate), None) = (certificates.next(), certificates.next()) else {
            return Err(Cause("it must hold one PEM block CERTIFICATE".to_owned()));
        };
        let der = certificate.into_contents();
        let whole = Certificate::from_der(&der).and_then(|parsed| parsed.to_der());
        if whole.is_err() {
            return Err(Cause("its PEM block CERTIFICATE is no X.509 certificate".to_owned()));
        }
        Ok(Self(der))
    }

    /// Lower-case hex SHA-256 of the DER: what openssl calls the certificate's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.0)
    }

    /// Whether a certificate (DER) whose key the connection proved is the owner's.
    pub(crate) fn is(&self, certificate: &[u8]) -> bool {
        self.0 == certificate
    }
}

/// For the log: who was refused. The caller hears what every stranger hears.
pub(crate) fn refusal(peer: Option<&[u8]>) -> String {
    let presented = match peer {
        Some(certificate) => format!("the certificate with the SHA-256 {} was", fingerprint(certificate)),
        None => "no certificate was".to_owned(),
    };
    format!("the owner's certificate is required, and {presented} presented")
}

fn fingerprint(certificate: &[u8]) -> String {
    hex::encode(Sha256::digest(certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(vec!["owner".to_owned()]).unwrap()
    }

    //
    #[test]
    fn the_owner_is_known_by_the_bytes_of_her_certificate() {
        let made = certificate();
        let owner = OwnerCertificate::from_pem(made.cert.pem().as_bytes()).unwrap();
        assert!(owner.is(made.cert.der()));
        assert!(!owner.is(certificate().cert.der()) && !owner.is(&[]));
        assert_eq!(owner.fingerprint(), hex::encode(Sha256::digest(made.cert.der())));
    }

    #[test]
    fn the_log_of_a_refusal_names_what_is_required_and_what_was_presented() {
        let other = certificate();
        let text = refusal(Some(other.cert.der()));
        let fingerprint = hex::encode(Sha256::digest(other.cert.der()));
        assert!(
            text.contains("the owner's certificate is required") && text.contains(&fingerprint),
            "{text}"
        );
        assert!(refusal(None).ends_with("no certificate was presented"));
    }

    #[test]
    fn whatever_nobody_could_present_is_refused() {
        let made = certificate();
        let pem = made.cert.pem();
        for (text, why) in [
            (String::new(), "one PEM block"),
            (pem.clone() + &certificate().cert.pem(), "one PEM block"),
            (pem.clone() + &made.signing_key.serialize_pem(), "private key"),
            (pem.replace("CERTIFICATE", "X509 CRL"), "one PEM block"),
            (pem::encode(&pem::Pem::new("CERTIFICATE", [1, 2])), "no X.509"),
        ] {
            let error = OwnerCertificate::from_pem(text.as_bytes()).unwrap_err();
            assert!(error.0.contains(why), "{error}");
        }
    }
}
