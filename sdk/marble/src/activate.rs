//! Asks the coordinator for this Marble's parameters (marble-api.md sections 1, 3 and 7).
//!
//! One call, no retry (G-2): who restarts a failed service also decides when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use carrara_types::secret::SecretBytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::{Code, Status};

use crate::config::Config;
use crate::credentials::{Credentials, CredentialsError};
use crate::pin::{self, PinError};
use crate::quote::QuoteIssuer;
use crate::rpc::marble_client::MarbleClient;
use crate::rpc::{ActivationReq, Parameters};
use crate::transport::{self, Connection, TransportError};
use crate::uuid_file::{self, UuidError};

/// TCP, TLS and HTTP/2 handshakes together. A coordinator that is there answers in well under a second.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// The coordinator may have to make several RSA keys of 4096 bits for one activation, a second each, behind others.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// What gRPC clients receive at most by default (G-1); all files of a Marble together must stay below.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Why a Marble was not activated.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// The UUID file.
    #[error(transparent)]
    Uuid(#[from] UuidError),
    /// Key, certificate, request.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The file with the coordinator's root certificate.
    #[error("reading the coordinator's root certificate from {}; it must be one PEM certificate", .path.display())]
    RootFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// No connection.
    #[error(
        "connecting to the coordinator at {address}; check that it runs and that EDG_MARBLE_COORDINATOR_ADDR names \
         its Marble port"
    )]
    Connect {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The coordinator refused.
    #[error(
        "the coordinator at {address} refused to activate Marble type {marble_type:?} ({code:?}): {message}{remedy}"
    )]
    Refused {
        /// HOST:PORT.
        address: String,
        /// As configured.
        marble_type: String,
        /// gRPC code.
        code: Code,
        /// The coordinator's text.
        message: String,
        /// `; ` and what to do, or nothing.
        remedy: &'static str,
    },
    /// No answer in time.
    #[error("the coordinator at {address} did not {what} within {} s; see its log", .limit.as_secs())]
    Late {
        /// HOST:PORT.
        address: String,
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
    },
    /// An answer without parameters.
    #[error("the coordinator at {0} answered without parameters; is this its Marble port?")]
    Empty(String),
    /// The coordinator is not the one that is pinned.
    #[error("the coordinator at {address} is not the expected one; nothing of its answer was used")]
    Pin {
        /// HOST:PORT.
        address: String,
        /// Why.
        #[source]
        source: PinError,
    },
}

/// What a Marble receives (marble-api.md section 7). The bytes are wiped on drop.
#[derive(Debug, Default)]
pub struct Activation {
    /// By path, absolute or relative.
    pub files: BTreeMap<String, SecretBytes>,
    /// By name; values need not be UTF-8.
    pub env: BTreeMap<String, SecretBytes>,
    /// As in the manifest; may be empty.
    pub argv: Vec<String>,
}

impl Activation {
    fn from_parameters(parameters: Parameters) -> Self {
        let secrets = |map: std::collections::HashMap<String, Vec<u8>>| {
            map.into_iter().map(|(name, bytes)| (name.clone(), SecretBytes::new(name, bytes))).collect()
        };
        Self { files: secrets(parameters.files), env: secrets(parameters.env), argv: parameters.argv }
    }
}

/// Activates: certificate, UUID, request, quote, call, in that order (marble-api.md section 9, steps 3 to 7).
///
/// # Errors
/// See [`ActivateError`]. Nothing but the UUID file was written.
pub async fn activate(config: &Config, issuer: &dyn QuoteIssuer) -> Result<Activation, ActivateError> {
    let pinned = config.coordinator_root_file.as_deref().map(read_root).transpose()?;
    let credentials = Credentials::generate(&config.dns_names)?;
    let uuid = uuid_file::load_or_create(&config.uuid_file)?;
    let quote = issuer.issue(&credentials.report_data()).unwrap_or_else(|error| {
        tracing::warn!("failed to get quote: {error}. Proceeding in simulation mode");
        Vec::new()
    });
    let request = ActivationReq {
        quote,
        csr: credentials.csr.clone(),
        marble_type: config.marble_type.clone(),
        uuid: uuid.hyphenated().to_string(),
    };
    let address = config.coordinator.to_string();
    tracing::info!(coordinator = %address, marble_type = %config.marble_type, %uuid, "activating");

    let connection = connect(config, &credentials, &address).await?;
    let server = connection.server_certificate.clone();
    let parameters = call(connection, request, config, &address).await?;
    let activation = Activation::from_parameters(parameters);
    if let Some(root) = pinned {
        pin::check(&root, &server, &activation).map_err(|source| ActivateError::Pin { address, source })?;
    }
    Ok(activation)
}

fn read_root(path: &std::path::Path) -> Result<CertificateDer<'static>, ActivateError> {
    CertificateDer::from_pem_file(path)
        .map_err(|source| ActivateError::RootFile { path: path.to_owned(), source })
}

async fn connect(
    config: &Config,
    credentials: &Credentials,
    address: &str,
) -> Result<Connection, ActivateError> {
    let connecting = transport::connect(&config.coordinator, credentials);
    match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
        Ok(connected) => connected.map_err(|source: TransportError| ActivateError::Connect {
            address: address.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(ActivateError::Late {
            address: address.to_owned(),
            what: "accept the connection",
            limit: CONNECT_LIMIT,
        }),
    }
}

async fn call(
    connection: Connection,
    request: ActivationReq,
    config: &Config,
    address: &str,
) -> Result<Parameters, ActivateError> {
    let origin = format!("https://{address}").parse().map_err(|error| ActivateError::Connect {
        address: address.to_owned(),
        source: Box::<dyn std::error::Error + Send + Sync>::from(error),
    })?;
    let requests = connection.requests;
    let service = tower::service_fn(move |request| {
        let mut requests = requests.clone();
        async move { requests.send_request(request).await }
    });
    let mut client = MarbleClient::with_origin(service, origin).max_decoding_message_size(MAX_ANSWER_BYTES);
    let late = || ActivateError::Late { address: address.to_owned(), what: "answer", limit: ANSWER_LIMIT };
    let answer = tokio::time::timeout(ANSWER_LIMIT, client.activate(request)).await.map_err(|_| late())?;
    let answer = answer.map_err(|status| ActivateError::Refused {
        address: address.to_owned(),
        marble_type: config.marble_type.clone(),
        code: status.code(),
        message: status.message().to_owned(),
        remedy: remedy(&status),
    })?;
    answer.into_inner().parameters.ok_or_else(|| ActivateError::Empty(address.to_owned()))
}

/// What helps, by the codes of marble-api.md section 3.
fn remedy(status: &Status) -> &'static str {
    match status.code() {
        Code::FailedPrecondition => "; set a manifest or recover the coordinator first",
        Code::PermissionDenied => "; compare EDG_MARBLE_TYPE, the package and the platform with the manifest",
        Code::InvalidArgument => "; check the UUID file",
        Code::OutOfRange => "; the Marble's files are larger than 4 MiB together",
        Code::Unavailable | Code::Unknown => {
            "; the connection was lost or this is not a Marble port; try again"
        }
        // The transport's words for an answer that is no gRPC, such as that of the client API.
        Code::Internal if status.message().starts_with("protocol error") => {
            "; this is not a Marble port: check EDG_MARBLE_COORDINATOR_ADDR"
        }
        _ => "",
    }
}

#[cfg(test)]
#[path = "activate_tests.rs"]
pub(crate) mod tests;
