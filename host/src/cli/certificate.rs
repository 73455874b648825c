//! The certificate that `--ca-certificate` names, which is trusted instead of the public authorities.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, InvalidMessage, RootCertStore,
    SignatureScheme, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Opens TLS connections to hosts that have the named certificate, or one that it has signed.
#[derive(Debug, Clone)]
pub(super) struct NamedCertificate(Arc<ClientConfig>);

impl NamedCertificate {
    /// Reads a file in PEM.
    pub fn read(path: &str) -> anyhow::Result<Self> {
        let pem = std::fs::read(path)?;
        let named: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().context("it is not PEM")?;
        ensure!(!named.is_empty(), "it holds no certificate in PEM");
        let mut roots = RootCertStore::empty();
        for certificate in &named {
            roots.add(certificate.clone()).context("it holds something that is not a certificate")?;
        }
        let provider = Arc::new(ring::default_provider());
        let by_authority = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let verifier = Arc::new(Verifier { named, by_authority });
        Ok(Self(Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())))
    }
}

/// Accepts what the named certificate has signed, like any authority's; and the named certificate itself.
///
/// The latter needs neither a signature nor a matching name: only the host has its key. So self-signed certificates made with
/// `openssl req -x509` are accepted, although they claim to be an authority's and often lack a valid name.
#[derive(Debug)]
struct Verifier {
    named: Vec<CertificateDer<'static>>,
    by_authority: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.by_authority.verify_server_cert(certificate, between, name, ocsp, now);
        match &verified {
            Err(error) if !is_out_of_time(error) && self.named.contains(certificate) => Ok(ServerCertVerified::assertion()),
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

fn is_out_of_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(error, Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }))
}

/// Explains a TLS error, if that is why the host was not reached.
pub(super) fn trouble_with_tls(why: &ureq::Error) -> Option<String> {
    let ureq::Error::Io(why) = why else { return None };
    match why.get_ref()?.downcast_ref::<Error>()? {
        error if is_out_of_time(error) => Some(format!("its certificate is not valid at this time; is a clock wrong? ({error})")),
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            Some("its certificate is for another name than the one that --server has".into())
        }
        Error::InvalidCertificate(_) => Some(
            "its certificate is not one that this machine trusts, nor the one that --ca-certificate names, nor signed by that: \
             --ca-certificate FILE names the right one"
                .into(),
        ),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the server there does not speak TLS: if it is a host without TLS, use http:// instead of https://".into())
        }
        _ => None,
    }
}

impl<In: Transport> Connector<In> for NamedCertificate {
    type Out = Either<In, Tls>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| ureq::Error::Tls("the address has no host name"))?;
        let mut connection = ClientConnection::new(self.0.clone(), name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Tls { buffers, stream: StreamOwned::new(connection, socket) })))
    }
}

/// A connection over TLS.
pub(super) struct Tls {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Tls {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was `Other(OtherError(CaUsedAsEndEntity))`.
    #[test]
    fn a_wrong_certificate_is_a_sentence() {
        let of = |error: Error| trouble_with_tls(&ureq::Error::Io(std::io::Error::other(error)));
        let said = of(Error::InvalidCertificate(CertificateError::UnknownIssuer)).unwrap();
        assert!(said.contains("--ca-certificate FILE") && !said.contains("UnknownIssuer"), "{said}");
        assert!(of(Error::InvalidCertificate(CertificateError::NotValidForName)).unwrap().contains("another name"));
        assert!(of(Error::InvalidCertificate(CertificateError::Expired)).unwrap().contains("clock"));
        assert_eq!(of(Error::DecryptError), None);
        assert_eq!(trouble_with_tls(&ureq::Error::HostNotFound), None);
    }
}
