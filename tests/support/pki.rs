//! The certificates and keys of one control plane, made afresh for each.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::error::{Error, Result};

/// A certificate authority, the API server's certificate and the key that signs service account tokens, as files.
pub struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
    addresses: Vec<String>,
}

/// A certificate with its key, in PEM.
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Pki {
    /// Makes everything and writes into `folder` what the programs read from files. Beside loopback, the API server is
    /// known by these addresses.
    pub fn create(folder: &Path, addresses: &[Ipv4Addr]) -> Result<Self> {
        let authority = authority().map_err(certificate_of("the authority"))?;
        let tokens = KeyPair::generate().map_err(certificate_of("service account tokens"))?;
        let pki = Self {
            authority,
            folder: folder.to_path_buf(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
        };
        let client = pki.client("kube-apiserver", Some("system:masters"))?;
        let server = pki.sign("kube-apiserver", None, ExtendedKeyUsagePurpose::ServerAuth)?;

        write(&pki.authority_file(), &pki.authority.pem())?;
        write(&pki.server_certificate_file(), &server.certificate)?;
        write(&pki.server_key_file(), &server.key)?;
        write(&pki.client_certificate_file(), &client.certificate)?;
        write(&pki.client_key_file(), &client.key)?;
        write(&pki.token_key_file(), &tokens.serialize_pem())?;
        write(&pki.token_public_key_file(), &tokens.public_key_pem())?;
        Ok(pki)
    }

    /// A client certificate: the API server takes `user` and `group` from it.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Certified> {
        self.sign(user, group, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The authority's certificate, in PEM.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// The authority's certificate, which signs servers and clients.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("authority.crt")
    }

    /// The API server's certificate.
    pub fn server_certificate_file(&self) -> PathBuf {
        self.folder.join("kube-apiserver.crt")
    }

    /// The API server's private key.
    pub fn server_key_file(&self) -> PathBuf {
        self.folder.join("kube-apiserver.key")
    }

    /// The certificate by which kubelet knows the API server.
    pub fn client_certificate_file(&self) -> PathBuf {
        self.folder.join("kubelet-client.crt")
    }

    /// Its private key.
    pub fn client_key_file(&self) -> PathBuf {
        self.folder.join("kubelet-client.key")
    }

    /// The private key that signs service account tokens.
    pub fn token_key_file(&self) -> PathBuf {
        self.folder.join("service-accounts.key")
    }

    /// The public key that verifies service account tokens.
    pub fn token_public_key_file(&self) -> PathBuf {
        self.folder.join("service-accounts.pub")
    }

    fn sign(&self, subject: &str, group: Option<&str>, purpose: ExtendedKeyUsagePurpose) -> Result<Certified> {
        let signed = || {
            let key = KeyPair::generate()?;
            let loopback = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            let names: Vec<String> = loopback.iter().chain(&self.addresses).cloned().collect();
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, subject);
            if let Some(group) = group {
                params.distinguished_name.push(DnType::OrganizationName, group);
            }
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![purpose];
            let certificate = params.signed_by(&key, &self.authority)?;
            Ok(Certified {
                certificate: certificate.pem(),
                key: key.serialize_pem(),
            })
        };
        signed().map_err(certificate_of(subject))
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "mail-policy test control plane");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn certificate_of(subject: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let subject = subject.to_owned();
    move |source| Error::Certificate { subject, source }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(Error::io(path.display().to_string()))
}
