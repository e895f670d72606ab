//! What was measured, by the names that admission policies know (host/docs/policies.md).

use carrara_types::claims::{Identity, SgxIdentity, SnpIdentity, TdxIdentity};
use carrara_types::decision::{Fact, Value};

pub(super) fn identity(identity: &Identity) -> Vec<Fact> {
    match identity {
        Identity::Sgx(identity) => sgx(identity),
        Identity::Tdx(identity) => tdx(identity),
        Identity::Snp(identity) => snp(identity),
    }
}

fn sgx(identity: &SgxIdentity) -> Vec<Fact> {
    vec![
        bytes("unique-id", &identity.unique_id),
        bytes("signer-id", &identity.signer_id),
        number("product-id", identity.product_id),
        number("security-version", identity.security_version),
    ]
}

fn tdx(identity: &TdxIdentity) -> Vec<Fact> {
    let [rtmr0, rtmr1, rtmr2, rtmr3] = &identity.rtmrs;
    vec![
        bytes("mrtd", &identity.mr_td),
        bytes("rtmr0", rtmr0),
        bytes("rtmr1", rtmr1),
        bytes("rtmr2", rtmr2),
        bytes("rtmr3", rtmr3),
        bytes("mrseam", &identity.mr_seam),
        bytes("mrconfigid", &identity.mr_config_id),
        bytes("mrowner", &identity.mr_owner),
        bytes("mrownerconfig", &identity.mr_owner_config),
        bytes("tee-tcb-svn", &identity.tee_tcb_svn),
        bytes("xfam", &identity.xfam),
        bytes("td-attributes", &identity.td_attributes),
    ]
}

fn snp(identity: &SnpIdentity) -> Vec<Fact> {
    let tcb = &identity.tcb;
    vec![
        bytes("measurement", &identity.measurement),
        bytes("host-data", &identity.host_data),
        bytes("id-key-digest", &identity.id_key_digest),
        bytes("author-key-digest", &identity.author_key_digest),
        bytes("family-id", &identity.family_id),
        bytes("image-id", &identity.image_id),
        number("guest-svn", identity.guest_svn.into()),
        number("policy", identity.policy),
        number("vmpl", identity.vmpl.into()),
        number("tcb-bootloader", tcb.boot_loader.into()),
        number("tcb-tee", tcb.tee.into()),
        number("tcb-snp", tcb.snp.into()),
        number("tcb-microcode", tcb.microcode.into()),
        number("tcb-fmc", tcb.fmc.into()),
    ]
}

fn bytes(name: &str, value: &[u8]) -> Fact {
    Fact { name: name.to_owned(), value: Value::Bytes(value.to_vec()) }
}

fn number(name: &str, value: u64) -> Fact {
    Fact { name: name.to_owned(), value: Value::Number(value) }
}
