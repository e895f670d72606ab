//! What a use case works on: an immutable snapshot with everything that follows from it made once per manifest.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use carrara_types::decision::{Context, HeldRole, Principal};
use carrara_types::manifest::names::certificate_der;
use carrara_types::manifest::safe::Known;
use carrara_types::manifest::{AcceptedManifest, Package, ParsedManifest};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::authority::{Authority, AuthorityRecords};
use crate::components::{AtHand, Offered, PolicySets};
use crate::error::Refused;
use crate::facts::Facts;
use crate::marble_certificate::KnownMarbles;
use crate::outcome::{ManifestAnswer, TlsIdentity, TlsPort};
use crate::ports::{Policies, Snapshot, StoreError};
use crate::records;
use crate::template_uses::TemplateUses;

/// The live CA with the identities that the ports present.
pub(crate) struct Live {
    pub(crate) authority: Authority,
    rest: Arc<TlsIdentity>,
    mesh: Arc<TlsIdentity>,
    names: Vec<String>,
}

impl Live {
    pub(crate) fn new(authority: Authority) -> Self {
        let (rest, mesh) = (Arc::new(authority.rest_identity()), Arc::new(authority.mesh_identity()));
        let own = authority.coordinator_names();
        let names =
            own.dns_names.iter().cloned().chain(own.ip_addresses.iter().map(ToString::to_string)).collect();
        Self { authority, rest, mesh, names }
    }

    /// The coordinator's own DNS names and addresses (L-12).
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Shared, so that a listener can tell by the pointer that nothing has changed.
    pub(crate) fn identity(&self, port: TlsPort) -> Arc<TlsIdentity> {
        Arc::clone(match port {
            TlsPort::Rest => &self.rest,
            TlsPort::Mesh => &self.mesh,
        })
    }
}

/// The records whose revisions say that an [`Epoch`] is still the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EpochKey {
    policies: PoliciesKey,
    certificate: u64,
}

/// The records whose revisions say that the policies are still the ones in force: of the manifest, and of components that were stored
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PoliciesKey {
    state_id: [u8; 16],
    manifest: u64,
    restored: Option<u64>,
}

/// What follows from the manifest and the CA in force.
pub(crate) struct Epoch {
    key: EpochKey,
    pub(crate) manifest: Arc<AcceptedManifest>,
    /// The manifest's packages with the security versions in force, after package updates (M-104).
    pub(crate) packages: BTreeMap<String, Package>,
    pub(crate) answer: Arc<ManifestAnswer>,
    pub(crate) live: Arc<Live>,
    /// Learnt at the first upload of a secret.
    pub(crate) uses: TemplateUses,
    /// Recognised by the marble root in force.
    pub(crate) marbles: KnownMarbles,
    users: HashMap<[u8; 32], Arc<Principal>>,
    /// What the manifest asks for.
    policies: Arc<dyn Policies>,
    facts: Facts,
}

/// A snapshot of an open state with its epoch.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    pub(crate) epoch: Arc<Epoch>,
}

impl View {
    /// The user of a client certificate (DER), by equality of the DER; expiry is not looked at (rest-api.md section 5).
    pub(crate) fn user(&self, certificate: &[u8]) -> Option<Arc<Principal>> {
        let digest: [u8; 32] = Sha256::digest(certificate).into();
        self.epoch.users.get(&digest).map(Arc::clone)
    }

    /// What every policy question carries.
    pub(crate) fn context(&self, now: OffsetDateTime) -> Context {
        let facts = self.epoch.facts.of(&self.epoch.manifest, self.snapshot.as_ref());
        Context { now: unix_seconds(now), revision: self.snapshot.revision(), facts }
    }

    /// The policies that judge every request about this view.
    pub(crate) fn policies(&self) -> &dyn Policies {
        self.epoch.policies.as_ref()
    }

    /// What every batch depends on: the manifest and the CA that it was computed from.
    pub(crate) fn dependencies(&self) -> Vec<(String, Option<u64>)> {
        [records::MANIFEST, records::INTERMEDIATE_CERTIFICATE]
            .map(|key| (key.to_owned(), self.snapshot.record_revision(key)))
            .into()
    }
}

impl Epoch {
    /// Whether this epoch is the snapshot's.
    pub(crate) fn is_of(&self, snapshot: &dyn Snapshot) -> bool {
        epoch_key(snapshot) == Some(self.key)
    }

    /// Reads the epoch of an open state. Policies that are those of the epoch before are taken over.
    ///
    /// # Errors
    /// A record is missing or does not make sense.
    pub(crate) fn load(
        shared: &Arc<dyn Snapshot>,
        sets: &PolicySets,
        before: Option<&Self>,
    ) -> Result<Self, StoreError> {
        let snapshot = shared.as_ref();
        let key = epoch_key(snapshot).ok_or_else(|| {
            StoreError::Read("the state holds no manifest or no certificate authority".to_owned())
        })?;
        let live = Arc::new(Live::new(load_authority(snapshot)?));
        let bytes = records::required(snapshot, records::MANIFEST)?.expose().to_vec();
        let renderers = sets.built_in().renderers();
        let known = Known { renderers: Some(&renderers), coordinator_names: live.names() };
        let manifest = ParsedManifest::parse(&bytes)
            .map_err(|error| StoreError::Read(format!("the stored manifest does not parse: {error}")))
            .and_then(|parsed| {
                AcceptedManifest::restore(parsed, &known).map_err(|refusal| {
                    let why = Refused(refusal);
                    StoreError::Read(format!(
                        "this version refuses the stored manifest, start the one that accepted it: {why}"
                    ))
                })
            })?;
        let signature = records::required(snapshot, records::MANIFEST_SIGNATURE)?.expose().to_vec();
        let answer = Arc::new(ManifestAnswer {
            fingerprint: hex::encode(Sha256::digest(&bytes)),
            manifest: bytes,
            signature,
        });
        let users = principals(&manifest)?;
        let packages = packages_in_force(&manifest, records::package_versions(snapshot)?);
        let policies = match before.filter(|before| before.key.policies == key.policies) {
            Some(before) => Arc::clone(&before.policies),
            None => {
                let stored = AtHand { offered: Offered::new(), snapshot: Some(Arc::clone(shared)) };
                sets.of(&manifest.policies, stored)
            }
        };
        Ok(Self {
            key,
            manifest: Arc::new(manifest),
            packages,
            answer,
            live,
            uses: TemplateUses::default(),
            marbles: KnownMarbles::default(),
            users,
            policies,
            facts: Facts::default(),
        })
    }

    /// All users of the manifest, in no particular order.
    pub(crate) fn users(&self) -> impl Iterator<Item = &Principal> {
        self.users.values().map(Arc::as_ref)
    }

    /// The security versions in force, of the packages that have one.
    pub(crate) fn versions(&self) -> Vec<(String, u64)> {
        let version = |(name, package): (&String, &Package)| Some((name.clone(), package.security_version?));
        self.packages.iter().filter_map(version).collect()
    }
}

/// Unix seconds; 0 before 1970.
pub(crate) fn unix_seconds(now: OffsetDateTime) -> u64 {
    u64::try_from(now.unix_timestamp()).unwrap_or(0)
}

fn epoch_key(snapshot: &dyn Snapshot) -> Option<EpochKey> {
    let policies = PoliciesKey {
        state_id: snapshot.state_id()?,
        manifest: snapshot.record_revision(records::MANIFEST)?,
        restored: snapshot.record_revision(records::RESTORED),
    };
    Some(EpochKey { policies, certificate: snapshot.record_revision(records::INTERMEDIATE_CERTIFICATE)? })
}

fn load_authority(snapshot: &dyn Snapshot) -> Result<Authority, StoreError> {
    let certificate = |key| records::required(snapshot, key).map(|bytes| bytes.expose().to_vec());
    let parts = AuthorityRecords {
        root_certificate: certificate(records::ROOT_CERTIFICATE)?,
        intermediate_certificate: certificate(records::INTERMEDIATE_CERTIFICATE)?,
        marble_root_certificate: certificate(records::MARBLE_ROOT_CERTIFICATE)?,
        root_key: records::required(snapshot, records::ROOT_KEY)?,
        intermediate_key: records::required(snapshot, records::INTERMEDIATE_KEY)?,
    };
    Authority::from_records(parts)
        .map_err(|cause| StoreError::Read(format!("the stored certificate authority does not load: {cause}")))
}

/// A package without a version gets the stored one, too (M-105).
fn packages_in_force(manifest: &ParsedManifest, stored: BTreeMap<String, u64>) -> BTreeMap<String, Package> {
    let mut packages = manifest.packages.clone();
    for (name, version) in stored {
        if let Some(package) = packages.get_mut(&name) {
            package.security_version = Some(version);
        }
    }
    packages
}

/// The manifest's users by the SHA-256 of their certificates' DER. A safe manifest has no two with the same (M-52).
pub(crate) fn principals(
    manifest: &AcceptedManifest,
) -> Result<HashMap<[u8; 32], Arc<Principal>>, StoreError> {
    let mut users = HashMap::with_capacity(manifest.users.len());
    for (name, user) in &manifest.users {
        let der = certificate_der(&user.certificate).ok_or_else(|| {
            StoreError::Read(format!("the stored manifest's user {name} has no certificate"))
        })?;
        let certificate_sha256: [u8; 32] = Sha256::digest(&der).into();
        let roles = user.roles.iter().filter_map(|role| {
            let declared = manifest.roles.get(role)?;
            Some(HeldRole {
                name: role.clone(),
                resource_type: declared.resource_type.clone(),
                resource_names: declared.resource_names.clone(),
                actions: declared.actions.clone(),
            })
        });
        let principal = Principal { name: name.clone(), certificate_sha256, roles: roles.collect() };
        users.insert(certificate_sha256, Arc::new(principal));
    }
    Ok(users)
}
