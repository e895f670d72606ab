//! For tests: a TEE whose quotes a generated chain signs, over whatever report data. Compiled into tests only (feature
//! `testing`); nobody finds it by looking for a TEE, and its quotes count only for who was told the chain's root.

use std::fmt;
use std::sync::Arc;

use carrara_types::seal_mode::KeyPolicy;
use carrara_types::secret::SecretBytes;
use occlum_dcap::REPORT_DATA_BYTES;

use super::{IssueError, Platform, Source, key, tdx};
use crate::chain::{Chain, Enclave, Machine};
use crate::collateral::Tee;
use crate::framing;

/// What TDX quotes of our own are: the newest version.
const TDX_VERSION: u16 = 5;

/// What the sealing keys of an enclave are derived from.
const GIVEN: [u8; 16] = [0x9e; 16];

/// An enclave or a virtual machine, as the chain's TEE has it.
struct Generated(Arc<Chain>);

impl Platform {
    /// The TEE of a generated chain, with the default enclave or virtual machine in it. As everywhere, a virtual machine of
    /// TDX has no sealing keys.
    #[must_use]
    pub fn generated(chain: Arc<Chain>) -> Self {
        Self(Box::new(Generated(chain)))
    }
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generated")
    }
}

impl Source for Generated {
    fn name(&self) -> &'static str {
        match self.0.tee() {
            Tee::Sgx => "SGX (generated)",
            Tee::Tdx => "Intel TDX (generated)",
        }
    }

    fn issue(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, IssueError> {
        let report_data = *report_data;
        let quote = match self.0.tee() {
            Tee::Sgx => self.0.sgx_quote(&Enclave { report_data, ..Enclave::default() }),
            Tee::Tdx => self.0.tdx_quote(&Machine { report_data, ..Machine::default() }, TDX_VERSION),
        };
        Ok(framing::frame(&quote))
    }

    fn sealing_key(&self, policy: KeyPolicy, _: &[u8]) -> Result<SecretBytes, IssueError> {
        match self.0.tee() {
            Tee::Sgx => key::derive("generated", policy, &GIVEN),
            Tee::Tdx => Err(IssueError::NoSealingKey(tdx::NAME)),
        }
    }

    fn has_sealing_key(&self) -> bool {
        self.0.tee() == Tee::Sgx
    }
}
