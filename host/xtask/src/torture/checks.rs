//! What is looked at after every restart, over the wire, before any load. An error is a broken promise.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use carrara_client::checkpoint::{Checkpoint, Hash};
use hyper::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::clients;
use super::model::counters::{MARBLES, OF_EACH};
use super::model::secrets::SECRETS;
use super::plan::Update;
use super::site::{Site, secrets_path};
use super::world::{self, GENERATED};
use crate::bench::rest::{self, Connection};

/// Lines and entries that are read again, to see that they did not change.
const OVERLAP: usize = 8;

/// State codes (rest-api.md).
pub(crate) mod state {
    /// The state is locked.
    pub(crate) const RECOVERY: u64 = 1;
    /// There is no manifest yet.
    pub(crate) const EMPTY: u64 = 2;
    /// It serves Marbles.
    pub(crate) const SERVES: u64 = 3;
}

const ALIVE: &str = "the server was not killed";

/// Everything of a server that has its manifest.
pub(crate) async fn everything(site: &Site) -> anyhow::Result<()> {
    let mut connection = site.connect().await?.context(ALIVE)?;
    let code = status(site, &mut connection).await?;
    ensure!(code == state::SERVES, "the server starts in state {code} (1: recovery, 2: empty), not in 3");
    root(site, &mut connection).await?;
    history(site, &mut connection).await?.context(ALIVE)?;
    updates(site, &mut connection).await?;
    secrets(site, &mut connection).await?;
    audit(site, &mut connection).await?.context(ALIVE)?;
    totals(site)?;
    counters(site).await?;
    clients::activate_once(site).await?.context(ALIVE)?;
    Ok(())
}

/// The state's code.
pub(crate) async fn status(site: &Site, connection: &mut Connection) -> anyhow::Result<u64> {
    let data = site.get(connection, rest::STATUS).await?.context(ALIVE)?;
    site.model().counts.checked("states", 1);
    data.get("code").and_then(Value::as_u64).with_context(|| format!("no code: {data}"))
}

/// The root certificate never changes, and once it is known it is the one to compare with.
pub(crate) async fn root(site: &Site, connection: &mut Connection) -> anyhow::Result<()> {
    let data = site.get(connection, "/api/v2/quote").await?.context(ALIVE)?;
    let chain = data.get("cert").and_then(Value::as_str).context("no certificates")?;
    let certificates = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.context("reading the certificates")?;
    let found = certificates.last().context("no root certificate")?.to_vec();
    let mut model = site.model();
    model.counts.checked("root certificates", 1);
    match &model.root {
        Some(root) => ensure!(*root == found, "another root certificate is shown than before"),
        None => model.root = Some(found),
    }
    Ok(())
}

/// The log goes on from where it was seen last, and its signed head covers every line. `None` if the server was killed.
pub(crate) async fn history(site: &Site, connection: &mut Connection) -> anyhow::Result<Option<()>> {
    let (seen, root) = {
        let model = site.model();
        (model.history.checkpoint_size(), model.root.clone().context("the root is known")?)
    };
    let Some(head) = site.get(connection, &format!("{}?from={seen}", rest::HEAD)).await? else {
        return Ok(None);
    };
    let note = head.get("checkpoint").and_then(Value::as_str).context("no checkpoint")?;
    let checkpoint = Checkpoint::verify(note, &root).with_context(|| format!("verifying {note}"))?;
    let proof = head.get("consistency").and_then(Value::as_array).context("no proof")?;
    let proof = proof.iter().map(hash).collect::<anyhow::Result<Vec<Hash>>>()?;
    site.model().history.add_head(checkpoint, &proof)?;

    let from = site.model().history.size().saturating_sub(OVERLAP);
    let Some(data) = site.get(connection, &format!("{}?from={from}", rest::UPDATE)).await? else {
        return Ok(None);
    };
    let lines = data.get("updateLog").and_then(Value::as_array).context("no log")?;
    let lines = lines.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut model = site.model();
    model.history.add_lines(from, lines)?;
    model.history.whole()?;
    model.counts.checked("log heads and proofs", 1);
    Ok(Some(()))
}

/// The trail goes on from where it was seen last. `None` if the server was killed.
pub(crate) async fn audit(site: &Site, connection: &mut Connection) -> anyhow::Result<Option<()>> {
    loop {
        let from = site.model().history.entries().saturating_sub(OVERLAP);
        let path = format!("/api/v2/audit?from={from}");
        let Some(page) = site.get(connection, &path).await? else { return Ok(None) };
        let mut model = site.model();
        model.history.add_entries(&page)?;
        model.counts.checked("audit pages", 1);
        if page.get("next") == page.get("end") {
            return Ok(Some(()));
        }
    }
}

/// The manifest in force is the one that was acknowledged or the one that was not answered; no update waits.
async fn updates(site: &Site, connection: &mut Connection) -> anyhow::Result<()> {
    let data = site.get(connection, "/api/v2/manifest").await?.context(ALIVE)?;
    let found = data.get("manifestFingerprint").and_then(Value::as_str).context("no fingerprint")?;
    let waits = connection.exchange(Method::GET, "/api/v2/update-manifest", Bytes::new()).await?;
    ensure!(waits.0 == StatusCode::NOT_FOUND, "an update waits: {}", String::from_utf8_lossy(&waits.1));
    let mut model = site.model();
    let model = &mut *model;
    let world = &site.shared.world;
    model.counts.checked("manifests", 1);
    let under_way = model.updates.under_way().map(|(update, version)| (update, version.clone()));
    if let Some((update, version)) = under_way {
        let stored = match update {
            Update::Package => model.history.count("SecurityVersion increased") > model.updates.packages(),
            Update::Full | Update::RecoveryKey | Update::SealMode => {
                fingerprint(&world.manifest(&version)) == found
            }
        };
        *model.counts.unanswered.entry("update").or_default() += 1;
        *model.counts.found.entry("update").or_default() += u64::from(stored);
        model.updates.resolve(stored);
    }
    // A package update changes no manifest: the text is still the last whole one's.
    let serial = model.updates.current().serial;
    let expected = model.whole.get_or_insert_with(|| (serial, String::new()));
    if expected.0 != serial || expected.1.is_empty() {
        *expected = (serial, fingerprint(&world.manifest(model.updates.current())));
    }
    ensure!(found == expected.1, "another manifest is in force than was acknowledged");
    Ok(())
}

/// Every secret is as acknowledged, or as in an upload that was not answered.
async fn secrets(site: &Site, connection: &mut Connection) -> anyhow::Result<()> {
    let names = (0..SECRETS).map(world::secret).chain([GENERATED.to_owned()]);
    let data = site.get(connection, &secrets_path(names)).await?.context(ALIVE)?;
    let found = (0..SECRETS).map(|index| number_of(&data, &world::secret(index)));
    let found = found.collect::<anyhow::Result<Vec<u64>>>()?;
    let generated = data.pointer(&format!("/secrets/{GENERATED}")).map(Value::to_string);
    let mut model = site.model();
    let model = &mut *model;
    let resolved = model.secrets.resolve(&found)?;
    *model.counts.unanswered.entry("upload").or_default() += resolved.unanswered;
    *model.counts.found.entry("upload").or_default() += resolved.found;
    model.counts.checked("secrets", SECRETS as u64);
    let known = model.generated.get_or_insert_with(|| generated.clone().unwrap_or_default());
    ensure!(generated.as_ref() == Some(known), "a generated secret is another one than before");
    Ok(())
}

/// The log and the trail have a line and an entry for each change, and no more.
fn totals(site: &Site) -> anyhow::Result<()> {
    let mut model = site.model();
    let model = &mut *model;
    for (what, found, expected) in [
        ("lines of secrets", model.history.count("Secret set"), model.secrets.lines()),
        (
            "lines of package updates",
            model.history.count("SecurityVersion increased"),
            model.updates.packages(),
        ),
        ("lines of full updates", model.history.count("Complete Manifest updated"), model.updates.wholes()),
        ("lines of first manifests", model.history.count("Initial manifest set"), 1),
        ("audit entries of uploads", model.history.done("WriteSecret"), model.secrets.uploads()),
        (
            "audit entries of package updates",
            model.history.done("UpdateSecurityVersion"),
            model.updates.packages(),
        ),
        ("audit entries of full updates", model.history.done("ApplyUpdate"), model.updates.wholes()),
    ] {
        model.counts.checked("totals", 1);
        ensure!(found == expected, "there are {found} {what} and should be {expected}");
    }
    Ok(())
}

/// Every counter is at least where it was, and no further than somebody asked.
async fn counters(site: &Site) -> anyhow::Result<()> {
    for marble in 0..MARBLES {
        let mut keeper = site.connect_keeper(marble).await?.context(ALIVE)?;
        for counter in 0..OF_EACH {
            let ask = json!({ "name": format!("n{counter}"), "value": 0 }).to_string();
            let mut answer =
                site.post(&mut keeper.connection, rest::COUNTER, ask.clone()).await?.context(ALIVE)?;
            if answer.0 == StatusCode::UNAUTHORIZED {
                site.refuse_keeper(marble, &keeper, &answer.1)?;
                keeper = site.connect_keeper(marble).await?.context(ALIVE)?;
                answer = site.post(&mut keeper.connection, rest::COUNTER, ask).await?.context(ALIVE)?;
            }
            let (code, body) = answer;
            if code != StatusCode::OK {
                bail!("a counter was answered {code}: {}", String::from_utf8_lossy(&body));
            }
            let found = counter_value(&body)?;
            let mut model = site.model();
            let moved = model.counters.resolve(marble * OF_EACH + counter, found)?;
            *model.counts.found.entry("counter").or_default() += u64::from(moved);
            model.counts.checked("counters", 1);
        }
    }
    Ok(())
}

/// What a counter's answer says.
pub(crate) fn counter_value(body: &[u8]) -> anyhow::Result<u64> {
    let data = super::site::data(body)?;
    data.get("value").and_then(Value::as_u64).with_context(|| format!("no value: {data}"))
}

/// The number in a secret of an answer.
pub(crate) fn number_of(data: &Value, name: &str) -> anyhow::Result<u64> {
    let text = data.pointer(&format!("/secrets/{name}/Public")).and_then(Value::as_str);
    let bytes = STANDARD.decode(text.with_context(|| format!("no secret {name}: {data}"))?)?;
    let text = String::from_utf8(bytes).with_context(|| format!("secret {name} is no text"))?;
    text.parse().with_context(|| format!("secret {name} is {text:?}, which nobody wrote"))
}

fn hash(value: &Value) -> anyhow::Result<Hash> {
    let bytes = STANDARD.decode(value.as_str().context("a hash is text")?).context("a hash is base64")?;
    bytes.try_into().ok().context("a hash has 32 bytes")
}

fn fingerprint(manifest: &str) -> String {
    hex::encode(Sha256::digest(manifest))
}
