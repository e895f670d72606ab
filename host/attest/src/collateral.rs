//! Collateral: what Intel says about its platforms, without which no quote of SGX or TDX can be judged - TCB levels, the
//! quoting enclave's identity, and what is revoked.
//!
//! It is signed by Intel, so that its source is not trusted: a false one can withhold it, or serve an older one that is
//! still valid, and no more. It is asked for where the user says ([`Pccs`], [`Bundle`]); there is no default source, and
//! nobody is told which platforms attest but those who were named. [`CollateralCache`] keeps it until it expires.
//!
//! [`Collateral`] exists only if all of its parts can be read and belong together. Whether its signatures are right is
//! [`Collateral::check`]; the verifier of quotes looks at all of it again, revocations included.

mod bundle;
mod cache;
mod check;
mod facts;
mod key;
#[cfg(any(test, feature = "testing"))]
pub mod mock;
mod pccs;
mod source;

use dcap_qvl::QuoteCollateralV3;

pub use bundle::{Bundle, BundleError, FORMAT as BUNDLE_FORMAT, MOST_BYTES as MOST_BUNDLE_BYTES};
pub use cache::{CacheFigures, CollateralCache, CollateralError, Fetch, Limits};
pub use check::{CheckError, Root};
pub use facts::Malformed;
pub use key::{Fmspc, Key, PckCa, Tee, UnknownWord};
pub use pccs::{Pccs, PccsError, PccsTrust, PccsUrl, TrustError, UrlError};
#[cfg(test)]
pub(crate) use source::SNP_KEPT;
pub use source::{FetchError, Fetched, Source};

/// When something can be used, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The latest moment at which one of the parts begins to be valid.
    pub from: i64,
    /// The earliest moment at which one of them ends to be.
    pub until: i64,
}

impl Validity {
    /// Whether `now` lies in it.
    #[must_use]
    pub const fn holds(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}

/// All that is needed to judge quotes of one kind of platform, for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    parts: QuoteCollateralV3,
    key: Key,
    validity: Validity,
    /// TCB information, quoting enclave's identity, PCK revocation list, root's.
    issued: [i64; 4],
    tcb_evaluation_data_number: u32,
}

impl Collateral {
    /// Reads what the parts say of themselves.
    ///
    /// # Errors
    /// A part cannot be read, or two of them are for different TEEs.
    pub fn from_parts(parts: QuoteCollateralV3) -> Result<Self, Malformed> {
        facts::read(parts)
    }

    /// What it is for.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// While all of its parts are valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// When its TCB information was issued, in Unix seconds.
    #[must_use]
    pub const fn issued(&self) -> i64 {
        let [issued, ..] = self.issued;
        issued
    }

    /// Whether one of its parts is older than the other's.
    fn goes_back_behind(&self, other: &Self) -> bool {
        self.issued.iter().zip(&other.issued).any(|(issued, before)| issued < before)
    }

    /// Intel counts its evaluations of what is up to date; the number never goes down. The lower one of those of TCB
    /// information and quoting enclave.
    #[must_use]
    pub const fn tcb_evaluation_data_number(&self) -> u32 {
        self.tcb_evaluation_data_number
    }

    /// As the verifier of quotes takes it.
    #[must_use]
    pub const fn parts(&self) -> &QuoteCollateralV3 {
        &self.parts
    }

    /// Whether every part is signed by who says so, up to the root, and valid at `now`. Revocation is left to the verifier.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, root: &Root, now: i64) -> Result<(), CheckError> {
        check::check(self, root, now)
    }
}
