//! What collateral is for: a TEE, a kind of platform, and the CA that certified the platform's key.

use std::fmt;
use std::str::FromStr;

/// An Intel TEE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tee {
    /// Software Guard Extensions.
    Sgx,
    /// Trust Domain Extensions.
    Tdx,
}

/// A kind of platform: family, model, stepping, platform type and custom SKU, as in the PCK certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fmspc(pub [u8; 6]);

/// The CA that issued a platform's PCK certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PckCa {
    /// Client and single-socket platforms.
    Processor,
    /// Platforms that were registered, with several sockets or one.
    Platform,
}

/// What one piece of collateral is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The TEE.
    pub tee: Tee,
    /// The kind of platform.
    pub fmspc: Fmspc,
    /// The CA whose revocation list is needed.
    pub ca: PckCa,
}

/// A word that is none of those expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not {expected}")]
pub struct UnknownWord {
    found: String,
    expected: &'static str,
}

fn unknown(found: &str, expected: &'static str) -> UnknownWord {
    UnknownWord { found: found.chars().take(64).collect(), expected }
}

impl Tee {
    /// As it stands in a PCCS's paths and in bundles.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
        }
    }
}

impl fmt::Display for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sgx => "SGX",
            Self::Tdx => "TDX",
        })
    }
}

impl FromStr for Tee {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "sgx" => Ok(Self::Sgx),
            "tdx" => Ok(Self::Tdx),
            other => Err(unknown(other, "sgx or tdx")),
        }
    }
}

impl PckCa {
    /// As it stands in a PCCS's queries and in bundles.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }
}

impl fmt::Display for PckCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for PckCa {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "processor" => Ok(Self::Processor),
            "platform" => Ok(Self::Platform),
            other => Err(unknown(other, "processor or platform")),
        }
    }
}

impl fmt::Display for Fmspc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl FromStr for Fmspc {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let mut bytes = [0; 6];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| unknown(text, "an FMSPC: 12 hex digits"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, FMSPC {}, {} CA", self.tee, self.fmspc, self.ca)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_what_they_were_and_others_are_refused() {
        for tee in [Tee::Sgx, Tee::Tdx] {
            assert_eq!(tee.word().parse(), Ok(tee));
        }
        for ca in [PckCa::Processor, PckCa::Platform] {
            assert_eq!(ca.word().parse(), Ok(ca));
        }
        assert_eq!("SGX".parse::<Tee>().unwrap_err().to_string(), "\"SGX\" is not sgx or tdx");
        let text = "".parse::<PckCa>().unwrap_err().to_string();
        assert!(text.starts_with("\"\" is not ") && text.contains("platform"), "{text}");
    }

    #[test]
    fn an_fmspc_is_six_bytes_in_hex_of_either_case() {
        let fmspc = Fmspc([0x00, 0xa0, 0x67, 0x11, 0, 0]);
        assert_eq!((fmspc.to_string().as_str(), "00a067110000".parse()), ("00A067110000", Ok(fmspc)));
        for wrong in ["", "00A06711000", "00A0671100000", "00A06711000000", "00A06711000g", " 0A067110000"] {
            let text = wrong.parse::<Fmspc>().unwrap_err().to_string();
            assert!(text.starts_with(&format!("\"{wrong}\" is not ")), "{text}");
        }
    }
}
