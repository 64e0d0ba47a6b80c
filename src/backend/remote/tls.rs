//! TLS towards a daemon: whose certificates are trusted, and what is wrong with one that is not.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::checks::invalid;
use super::options::RemoteOptions;
use crate::error::{Error, ErrorCode, Result};

/// What a connection needs to speak TLS; made once.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// Whether the system has authorities at all; without any, that is what is wrong.
    system_roots: usize,
}

impl Tls {
    /// Reads the system's certificates, so it may block.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` for certificates or a name that cannot be read.
    pub(super) fn new(options: &RemoteOptions) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let (system_roots, _) =
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = &options.tls.ca {
            let mut found = 0;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate
                    .ok()
                    .and_then(|certificate| roots.add(certificate).ok());
                if added.is_none() {
                    return Err(invalid("tls.ca", "has a certificate that cannot be read"));
                }
                found += 1;
            }
            if found == 0 {
                return Err(invalid("tls.ca", "has no certificate in PEM form"));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorCode::IoError, format!("TLS: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = options
            .tls
            .server_name
            .clone()
            .unwrap_or_else(|| options.effective_host().to_owned());
        let name = ServerName::try_from(name)
            .map_err(|_| invalid("tls.serverName", "is no name that a certificate can have"))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            system_roots,
        })
    }

    /// The handshake.
    ///
    /// # Errors
    /// `CONNECTION_FAILED`, saying what is wrong with the certificate.
    pub(super) async fn connect<S>(&self, stream: S) -> Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(|error| {
            let why = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                .map_or_else(|| error.to_string(), |error| self.explain(error));
            Error::new(ErrorCode::ConnectionFailed, format!("TLS: {why}")).with_source(error)
        })
    }

    fn explain(&self, error: &rustls::Error) -> String {
        let rustls::Error::InvalidCertificate(problem) = error else {
            return match error {
                rustls::Error::InvalidMessage(_) => {
                    "the server does not speak TLS on this port; set `secure: false` only if you trust the network"
                        .to_owned()
                }
                other => other.to_string(),
            };
        };
        let name = self.name.to_str();
        match problem {
            CertificateError::UnknownIssuer if self.system_roots == 0 => {
                "nobody whom we trust has signed the certificate, and this system has no certificates of authorities; \
                 install them, or pass yours as `tls.ca`"
                    .to_owned()
            }
            // A signature that is wrong is one of another authority of the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "nobody whom we trust has signed the certificate; pass the authority's certificate as `tls.ca`".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired (or the clock of this machine is wrong)".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet (or the clock of this machine is wrong)".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not for '{name}'; if that is meant, name the one it has as `tls.serverName`")
            }
            CertificateError::Revoked => "the certificate has been revoked".to_owned(),
            other => format!("the certificate is not valid: {other}"),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
