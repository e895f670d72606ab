//! `secret set --from-pem`: a certificate and its private key, in the form that Marbles expect.

use std::path::Path;

use anyhow::{Context, Result, bail};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair,
};
use carrara_client::{ClientIdentity, IdentityError, SecretUploads};
use pem::Pem;
use zeroize::Zeroizing;

use crate::output::complain;

/// The first certificate and the first private key of a PEM file, the key as PKCS#8. `file` is for messages.
pub(super) fn certificate(name: &str, content: &[u8], file: &Path) -> Result<SecretUploads> {
    let (mut certificate, mut private) = (None, None);
    for block in pem::parse_many(content).context("it is not PEM")? {
        if block.tag() == "CERTIFICATE" {
            certificate.get_or_insert(block.into_contents());
        } else if block.tag().contains("PRIVATE") && private.is_none() {
            private = Some(pkcs8(block, file)?);
        }
    }
    let Some(certificate) = certificate else {
        bail!("it holds no PEM block CERTIFICATE");
    };
    match private {
        None => complain(&format!(
            "Warning: the file holds no private key: Marbles that use the key of {name} cannot be activated"
        )),
        Some(_) => compare(content)?,
    }
    Ok(SecretUploads::certificate(name, &certificate, private.as_ref().map(|key| key.as_slice())))
}

fn pkcs8(block: Pem, file: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let tag = block.tag().to_owned();
    // Old PEM encrypts below the tag of a plain key.
    let encrypted = tag.starts_with("ENCRYPTED")
        || block.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"));
    let der = Zeroizing::new(block.into_contents());
    let remedy = |verb| {
        format!(
            "{verb} it with `openssl pkcs8 -topk8 -nocrypt -in {} -out key.pem` and give a file with the certificate \
             and the new key",
            file.display()
        )
    };
    if encrypted {
        bail!("its private key is encrypted, and Marbles could not use it: {}", remedy("decrypt"));
    }
    let converted = match tag.as_str() {
        "PRIVATE KEY" => Some(der),
        "RSA PRIVATE KEY" => rsa_pkcs8(&der),
        "EC PRIVATE KEY" => ec_pkcs8(&der),
        _ => None,
    };
    converted.with_context(|| {
        format!("Marbles expect a PKCS#8 key, and this {tag} cannot be made one here: {}", remedy("convert"))
    })
}

/// From PKCS#1.
fn rsa_pkcs8(der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = rsa::KeyPair::from_der(der).ok()?.as_der().ok()?;
    Some(Zeroizing::new(key.as_ref().to_vec()))
}

/// From SEC 1.
fn ec_pkcs8(der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let key = curves.iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok())?;
    Some(Zeroizing::new(key.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

/// Whether the first certificate and the first key belong together.
fn compare(content: &[u8]) -> Result<()> {
    match ClientIdentity::from_pem(content, content) {
        Ok(_) => Ok(()),
        Err(IdentityError::Mismatch) => bail!(
            "its certificate and its private key do not belong together: their public keys differ; give the certificate \
             that was made for this key, as the first one of the file"
        ),
        Err(IdentityError::Certificate) => bail!("its first PEM block CERTIFICATE is no X.509 certificate"),
        Err(IdentityError::Key | IdentityError::Unsupported) => {
            complain(
                "Warning: whether the certificate and the private key belong together was not checked: the key is of a \
                 rare kind",
            );
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde_json::Value;

    use super::*;

    fn file(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    /// Runs a line of openssl in a folder.
    fn openssl(folder: &Path, line: &str) {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A key in any form and its certificate.
    fn make(folder: &Path, key: &str) {
        openssl(folder, key);
        openssl(folder, "req -x509 -new -key key -passin pass:hunter2 -subj /CN=test -out crt");
    }

    fn parse(text: &str) -> Result<SecretUploads> {
        certificate("c", text.as_bytes(), Path::new("both.pem"))
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).unwrap_err())
    }

    fn der(upload: &SecretUploads, field: &str) -> Vec<u8> {
        let json: Value = serde_json::from_slice(upload.as_json()).unwrap();
        BASE64_STANDARD.decode(json["c"][field].as_str().unwrap()).unwrap()
    }

    const PLAIN: [(&str, &str); 5] = [
        ("genrsa -traditional -out key 2048", "RSA PRIVATE KEY"),
        ("ecparam -genkey -name prime256v1 -out key", "EC PRIVATE KEY"),
        ("ecparam -genkey -name secp384r1 -out key -noout", "EC PRIVATE KEY"),
        ("ecparam -genkey -name secp521r1 -out key -noout", "EC PRIVATE KEY"),
        ("genpkey -algorithm ed25519 -out key", "PRIVATE KEY"),
    ];

    // cli.md `secret set`: the first of each, in any order, with any other blocks between.
    #[test]
    fn the_first_certificate_and_the_first_key_are_taken_and_the_key_becomes_pkcs8() {
        for (line, tag) in PLAIN {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path(), line);
            let (key, crt) = (file(folder.path(), "key"), file(folder.path(), "crt"));
            assert!(key.contains(&format!("-----BEGIN {tag}-----")), "{key}");
            let later = rcgen::generate_simple_self_signed(vec!["later".to_owned()]).unwrap();
            let made = parse(
                &["text\n", &key, &crt, &later.cert.pem(), &later.signing_key.serialize_pem()].concat(),
            );
            let made = made.unwrap();
            assert_eq!(format!("{:?}", made.names()), r#"["c"]"#);
            assert_eq!(der(&made, "Cert"), pem::parse(&crt).unwrap().contents(), "{line}");
            // As openssl does it.
            openssl(folder.path(), "pkcs8 -topk8 -nocrypt -in key -outform DER -out expected");
            assert_eq!(
                der(&made, "Private"),
                std::fs::read(folder.path().join("expected")).unwrap(),
                "{line}"
            );
            assert_eq!(parse(&(crt.clone() + &key)).unwrap().as_json(), made.as_json());
            let alone = SecretUploads::certificate("c", &der(&made, "Cert"), None);
            assert_eq!(parse(&crt).unwrap().as_json(), alone.as_json());
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let make = || rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        let (one, other) = (make(), make());
        let error = refusal(&(one.cert.pem() + &other.signing_key.serialize_pem()));
        assert!(error.contains("do not belong together"), "{error}");
        parse(&(one.cert.pem() + &one.signing_key.serialize_pem())).unwrap();
    }

    // The advice is followed to the letter.
    #[test]
    fn an_encrypted_or_unknown_key_is_refused_with_a_command_that_helps() {
        for (line, reason) in [
            ("genpkey -algorithm rsa -aes256 -pass pass:hunter2 -out key", "encrypted"),
            ("genrsa -traditional -aes256 -passout pass:hunter2 -out key 2048", "encrypted"),
            ("ecparam -genkey -name secp224r1 -noout -out key", "EC PRIVATE KEY cannot"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            make(folder.path(), line);
            let (key, crt) = (file(folder.path(), "key"), file(folder.path(), "crt"));
            let error = refusal(&(crt.clone() + &key));
            assert!(error.contains(reason), "{line}: {error}");
            let advice = error.split('`').nth(1).unwrap().strip_prefix("openssl ").unwrap();
            std::fs::write(folder.path().join("both.pem"), crt.clone() + &key).unwrap();
            openssl(folder.path(), &format!("{advice} -passin pass:hunter2"));
            parse(&(crt + &file(folder.path(), "key.pem"))).unwrap();
        }
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let block = |tag: &str, content: &[u8]| pem::encode(&Pem::new(tag, content));
        for text in [String::new(), "text".to_owned(), block("PRIVATE KEY", &[1])] {
            let error = refusal(&text);
            assert!(error.contains("CERTIFICATE"), "{error}");
        }
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let error = refusal(&(block("CERTIFICATE", &[2]) + &key));
        assert!(error.contains("no X.509 certificate"), "{error}");
        assert!(parse("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n").is_err());
    }
}
