//! TLS towards a daemon: whose certificates are trusted, and what is wrong with one that is not.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::checks::invalid;
use super::options::RemoteOptions;
use crate::error::{Error, ErrorCode};

type Result<T, E = Error> = std::result::Result<T, E>;

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
        let mut given = Vec::new();
        if let Some(pem) = &options.tls.ca {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate.ok().filter(|certificate| {
                    let certificate = certificate.clone();
                    roots.add(certificate).is_ok()
                });
                given.push(
                    added.ok_or_else(|| {
                        invalid("tls.ca", "has a certificate that cannot be read")
                    })?,
                );
            }
            if given.is_empty() {
                return Err(invalid("tls.ca", "has no certificate in PEM form"));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let broken = |error: String| Error::new(ErrorCode::IoError, format!("TLS: {error}"));
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| broken(error.to_string()))?;
        let mut config = if given.is_empty() {
            config.with_root_certificates(roots).with_no_client_auth()
        } else {
            let by_authority =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| broken(error.to_string()))?;
            let verifier = Arc::new(GivenVerifier {
                by_authority,
                given,
            });
            config
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = options
            .tls
            .server_name
            .clone()
            .unwrap_or_else(|| options.effective_host().to_owned());
        let name = ServerName::try_from(name)
            .map_err(|_| invalid("host", "is no name that a certificate can have"))?;
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
                format!("the certificate is not for '{name}'; connect by a name that it has")
            }
            CertificateError::Revoked => "the certificate has been revoked".to_owned(),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "the certificate is signed in a way that we do not take; pass the authority's certificate as `tls.ca`"
                    .to_owned()
            }
            CertificateError::Other(why) if is_of_an_authority(why) => {
                "nobody but itself has signed the certificate, and it is not among those of `tls.ca`".to_owned()
            }
            other => format!("the certificate is not valid: {other}"),
        }
    }
}

/// Whether a certificate was refused because it is one that may sign others. Who makes one with a single command of
/// `openssl` has such a one.
fn is_of_an_authority(why: &OtherError) -> bool {
    why.to_string().contains("CaUsedAsEndEntity")
}

/// Verifies certificates by authorities; and the certificate of an authority that the caller has given, where a server
/// shows that itself: for who named it, it is what OpenSSL and Node take it for.
#[derive(Debug)]
struct GivenVerifier {
    by_authority: Arc<WebPkiServerVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for GivenVerifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = (self.by_authority).verify_server_cert(shown, between, name, ocsp, now);
        match &verified {
            // That it is valid now was looked at before this.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(why)))
                if is_of_an_authority(why) && self.given.contains(shown) =>
            {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        (self.by_authority).verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        (self.by_authority).verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
