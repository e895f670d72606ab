//! AMD's roots, one for each generation of processors, and the keys below them.
//!
//! As AMD's key distribution service publishes them (AMD 57230). They change when a new generation comes out.

/// A generation of EPYC processors. It decides the form of security versions and chip ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 7003.
    Milan,
    /// 9004, and 8004 and 97x4, which have its root.
    Genoa,
    /// 9005.
    Turin,
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        })
    }
}

/// A root that counts.
#[derive(Debug, Clone)]
pub struct SnpRoot {
    /// Whose root it is.
    pub generation: Generation,
    /// The ARK's certificate, DER.
    pub certificate: Vec<u8>,
    /// Certificates (DER) below it, for hosts that give none.
    pub intermediates: Vec<Vec<u8>>,
}

/// What is in this program: generation, ARK, ASK.
type Published = (Generation, &'static [u8], &'static [u8]);

const PUBLISHED: [Published; 3] = [
    (Generation::Milan, include_bytes!("amd/milan-ark.der"), include_bytes!("amd/milan-ask.der")),
    (Generation::Genoa, include_bytes!("amd/genoa-ark.der"), include_bytes!("amd/genoa-ask.der")),
    (Generation::Turin, include_bytes!("amd/turin-ark.der"), include_bytes!("amd/turin-ask.der")),
];

/// AMD's.
pub(super) fn amd() -> Vec<SnpRoot> {
    let root = |(generation, ark, ask): Published| SnpRoot {
        generation,
        certificate: ark.to_vec(),
        intermediates: vec![ask.to_vec()],
    };
    PUBLISHED.map(root).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::sha256;
    use crate::snp::certificates::{check_signature, read};

    /// SHA-256 of each ARK's public key (SubjectPublicKeyInfo).
    const PINNED: [(Generation, &str); 3] = [
        (Generation::Milan, "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"),
        (Generation::Genoa, "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"),
        (Generation::Turin, "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"),
    ];

    #[test]
    fn amds_roots_are_the_published_ones_and_certify_the_keys_below_them() {
        assert_eq!(amd().len(), PINNED.len());
        for (root, (generation, key)) in amd().iter().zip(PINNED) {
            assert_eq!(root.generation, generation);
            let ark = read(&root.certificate, "ARK").unwrap();
            assert_eq!(hex::encode(sha256(ark.public_key().raw)), key);
            check_signature(&ark, &ark, "ARK").unwrap();
            let ask = read(&root.intermediates[0], "ASK").unwrap();
            check_signature(&ask, &ark, "ASK").unwrap();
            assert!(ask.is_ca());
        }
    }
}
