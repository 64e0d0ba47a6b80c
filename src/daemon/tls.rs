//! TLS of the HTTP door: a certificate chain and its key from files, read again when the daemon is told to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::trusted_file;

/// A longer file is refused.
const MAX_BYTES: u64 = 1 << 20;

/// What is presented to clients.
#[derive(Debug)]
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, also for files that others may write, or a key that others may read; those of reading a
    /// file. All name it.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self> {
        Ok(Self {
            current: RwLock::new(config(certificate, key)?),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    /// What holds for the next connection.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads both files again; where one is wrong nothing changes. Blocks.
    ///
    /// # Errors
    /// As [`Tls::read`].
    pub(super) fn reload(&self) -> Result<()> {
        let new = config(&self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }
}

const CERT: &str = "--tls-cert";
const KEY: &str = "--tls-key";

fn config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let wrong = |path: &Path, flag, why: &str| {
        let error = Error::new(ErrorCode::InvalidConfiguration, why);
        error.at(path.to_string_lossy()).during(flag)
    };
    let content = trusted_file::read(certificate, None, MAX_BYTES);
    let content = content.map_err(|error| error.during(CERT))?;
    let chain = CertificateDer::pem_slice_iter(&content)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| wrong(certificate, CERT, "it is no PEM"))?;
    if chain.is_empty() {
        return Err(wrong(certificate, CERT, "there is no certificate in it"));
    }
    let content = trusted_file::read_secret(key, None, MAX_BYTES);
    let content = content.map_err(|error| error.during(KEY))?;
    let private = PrivateKeyDer::from_pem_slice(&content)
        .map_err(|_| wrong(key, KEY, "there is no private key in it"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error| {
            let why = match &error {
                rustls::Error::InconsistentKeys(_) => {
                    "it does not belong to the key of --tls-key".to_owned()
                }
                other => format!("it cannot be served: {other}"),
            };
            wrong(certificate, CERT, &why)
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
