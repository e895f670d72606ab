//! The load: clients that tell the model what they send and hold every answer against it, until the server is killed.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::checks;
use super::model::counters::{MARBLES, OF_EACH};
use super::model::secrets::{SECRETS, Upload};
use super::plan::{Random, Update};
use super::site::{Keeper, Site, data, secrets_path};
use super::world::{self, PACKAGE};
use crate::bench::mesh::Answer;
use crate::bench::rest::{self, Connection};

/// Clients that write secrets, each its own ones.
pub(crate) const WRITERS: usize = 3;

/// Secrets in one upload, at most.
const UPLOAD: u64 = 4;

/// Writes its secrets, and between that reads some.
pub(crate) async fn write(
    site: Arc<Site>,
    client: usize,
    mut random: Random,
    reads: bool,
) -> anyhow::Result<()> {
    let own: Vec<usize> = (0..SECRETS).filter(|index| index % WRITERS == client).collect();
    let Some(mut connection) = site.connect().await? else { return Ok(()) };
    loop {
        if reads && random.percent(30) && !read(&site, &mut connection, &mut random).await? {
            return Ok(());
        }
        let from = random.below(own.len() as u64) as usize;
        let some = own.iter().cycle().skip(from).take(1 + random.below(UPLOAD) as usize).copied().collect();
        let upload = site.model().secrets.send(some);
        if !upload_secrets(&site, &mut connection, &upload).await? {
            return Ok(());
        }
    }
}

/// Whether the server goes on.
pub(crate) async fn upload_secrets(
    site: &Site,
    connection: &mut Connection,
    upload: &Upload,
) -> anyhow::Result<bool> {
    let value = json!({ "Key": STANDARD.encode(upload.number.to_string()) });
    let secrets: serde_json::Map<String, Value> =
        upload.secrets.iter().map(|index| (world::secret(*index), value.clone())).collect();
    let body = json!({ "secrets": secrets }).to_string();
    match site.post(connection, rest::SECRETS, body).await? {
        Some((StatusCode::OK, _)) => {
            let mut model = site.model();
            model.secrets.acknowledge(upload);
            *model.counts.acknowledged.entry("upload").or_default() += 1;
            Ok(true)
        }
        // Nobody knows what became of it: the next check tells.
        None => Ok(false),
        Some((code, body)) => bail!("an upload was answered {code}: {}", String::from_utf8_lossy(&body)),
    }
}

async fn read(site: &Site, connection: &mut Connection, random: &mut Random) -> anyhow::Result<bool> {
    let index = random.below(SECRETS as u64) as usize;
    let before = site.model().secrets.acknowledged(index);
    let path = secrets_path([world::secret(index)]);
    let Some(data) = site.get(connection, &path).await? else { return Ok(false) };
    let found = checks::number_of(&data, &world::secret(index))?;
    let mut model = site.model();
    model.counts.checked("reads under load", 1);
    model.secrets.read(index, before, found).map(|()| true)
}

/// Raises counters of the Marbles.
pub(crate) async fn count(site: Arc<Site>, mut random: Random) -> anyhow::Result<()> {
    let mut connections: [Option<Keeper>; MARBLES] = [None, None];
    loop {
        let marble = random.below(MARBLES as u64) as usize;
        let place = connections.get_mut(marble).context("no such Marble")?;
        if place.is_none() {
            *place = site.connect_keeper(marble).await?;
        }
        let Some(keeper) = place else { return Ok(()) };
        let counter = random.below(OF_EACH as u64) as usize;
        let advance = site.model().counters.send(marble * OF_EACH + counter)?;
        let body = json!({ "name": format!("n{counter}"), "value": advance.value }).to_string();
        match site.post(&mut keeper.connection, rest::COUNTER, body).await? {
            Some((StatusCode::OK, body)) => {
                let before = checks::counter_value(&body)?;
                let mut model = site.model();
                model.counters.answer(&advance, before)?;
                *model.counts.acknowledged.entry("counter").or_default() += 1;
            }
            Some((StatusCode::UNAUTHORIZED, body)) => {
                site.refuse_keeper(marble, keeper, &body)?;
                *place = None;
            }
            Some((code, body)) => bail!("a counter was answered {code}: {}", String::from_utf8_lossy(&body)),
            None => {
                *site.model().counts.unanswered.entry("counter").or_default() += 1;
                return Ok(());
            }
        }
    }
}

/// Starts Marbles of the type that may start so often, and more.
pub(crate) async fn activate(site: Arc<Site>, mut random: Random) -> anyhow::Result<()> {
    let mut connection = None;
    loop {
        match activate_once(&site).await? {
            None => return Ok(()),
            Some(true) => {}
            // It would be refused again and again: something else for a while.
            Some(false) => {
                if connection.is_none() {
                    connection = site.connect().await?;
                }
                let Some(connection) = &mut connection else { return Ok(()) };
                for _ in 0..8 {
                    if !read(&site, connection, &mut random).await? {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Whether one more could start; `None` if the server was killed.
pub(crate) async fn activate_once(site: &Site) -> anyhow::Result<Option<bool>> {
    let asker = site.shared.counted.at(site.mesh)?;
    site.model().activations.send();
    let Some(answer) = site.alive(asker.ask_once(&Uuid::new_v4())).await? else { return Ok(None) };
    let mut model = site.model();
    let limits = model.updates.limits();
    model.counts.checked("activations against their limit", 1);
    match answer {
        Answer::Activated(_) => {
            model.activations.made(limits.1)?;
            *model.counts.acknowledged.entry("activation").or_default() += 1;
            Ok(Some(true))
        }
        Answer::Refused(code, text) => {
            // gRPC writes the message with escapes; this part has none.
            let enough = text.contains("max") && text.contains("activations");
            ensure!(enough, "an activation was refused with gRPC {code}: {text}");
            model.activations.refused(limits)?;
            Ok(Some(false))
        }
    }
}

/// Reads the log with its head and the audit trail, as a monitor does.
pub(crate) async fn watch(site: Arc<Site>) -> anyhow::Result<()> {
    let Some(mut connection) = site.connect().await? else { return Ok(()) };
    loop {
        let rest = checks::history(&site, &mut connection).await?;
        if rest.is_none() || checks::audit(&site, &mut connection).await?.is_none() {
            return Ok(());
        }
    }
}

/// Makes one update.
pub(crate) async fn update(site: &Site, update: Update, more: u64, serial: u64) -> anyhow::Result<()> {
    let Some(mut connection) = site.connect().await? else { return Ok(()) };
    let version = site.model().updates.send(update, more, serial);
    let manifest = match update {
        Update::Package => {
            json!({ "Packages": { PACKAGE: { "SecurityVersion": version.package } } }).to_string()
        }
        Update::Full | Update::RecoveryKey | Update::SealMode => site.shared.world.manifest(&version),
    };
    let body = json!({ "manifest": STANDARD.encode(manifest) }).to_string();
    match site.post(&mut connection, rest::UPDATE, body).await? {
        Some((StatusCode::OK, body)) => {
            let data = data(&body)?;
            ensure!(data.get("missingAcknowledgments") == Some(&json!(0)), "the update waits: {data}");
            let mut model = site.model();
            model.updates.acknowledge(recovery_secret(data.get("recoverySecrets"))?)?;
            *model.counts.acknowledged.entry("update").or_default() += 1;
            Ok(())
        }
        Some((code, body)) => bail!("an update was answered {code}: {}", String::from_utf8_lossy(&body)),
        None => Ok(()),
    }
}

/// The holder's part of the recovery secrets in an answer.
pub(crate) fn recovery_secret(secrets: Option<&Value>) -> anyhow::Result<Option<Vec<u8>>> {
    let text = secrets.and_then(|secrets| secrets.get("holder")).and_then(Value::as_str);
    text.map(|text| STANDARD.decode(text).context("a recovery secret is base64")).transpose()
}
