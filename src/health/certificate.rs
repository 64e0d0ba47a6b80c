//! The certificate that a daemon of this machine is expected to present: the very one of its file, whatever name and
//! signature it has. Loopback has no name that an authority would sign.

use std::io::ErrorKind;
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, ring::default_provider, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    StreamOwned,
};

use crate::error::{Error, ErrorCode, Result};

/// What is wrong with a conversation, where TLS is what went wrong.
pub(super) fn explained(error: &std::io::Error) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS".to_owned(),
        Some(rustls::Error::InvalidCertificate(_)) => {
            "it presents another certificate than that of the file; on SIGHUP it reads its own again"
                .to_owned()
        }
        Some(other) => format!("TLS: {other}"),
        None => match error.kind() {
            ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => "it does not answer in time".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Certificate and what checks signatures with it.
#[derive(Debug)]
pub(super) struct Pin {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl Pin {
    /// Takes the first certificate of a PEM file, as the daemon does.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let pem =
            std::fs::read(file).map_err(|error| Error::from(error).at(file.to_string_lossy()))?;
        let expected = CertificateDer::from_pem_slice(&pem).map_err(|_| {
            Error::new(
                ErrorCode::InvalidConfiguration,
                "there is no certificate in it",
            )
            .at(file.to_string_lossy())
        })?;
        Ok(Self {
            expected,
            provider: Arc::new(default_provider()),
        })
    }

    /// Speaks TLS on a connection; what is wrong shows with the first byte.
    pub(super) fn secure(
        self,
        stream: TcpStream,
        address: IpAddr,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self))
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), ServerName::from(address))
            .map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(client, stream))
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        if *presented == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure,
        ))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
