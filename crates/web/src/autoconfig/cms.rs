//! Signatures around profiles, by the key of the server's certificate.
//!
//! Standards: RFC 5652 §5 (SignedData, with the content in it and signed attributes), RFC 5754 (algorithms).

use aws_lc_rs::digest::{self, digest};
use postroad_store::Timestamp;
use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der::{SEQUENCE, SET, context, integer, joined, octets, set_of, small, tagged, time};

/// The content with a signature over it: a ContentInfo in DER, with the certificate's whole chain. None when the key does
/// nothing that others verify, or the certificate is not X.509.
pub fn signed(content: &[u8], by: &CertifiedKey, now: Timestamp) -> Option<Vec<u8>> {
    let schemes: Vec<SignatureScheme> = WAYS.iter().map(|way| way.scheme).collect();
    let signer = by.key.choose_scheme(&schemes)?;
    let way = WAYS.iter().find(|way| way.scheme == signer.scheme())?;
    let (_, leaf) = X509Certificate::from_der(by.cert.first()?).ok()?;
    let attributes = vec![
        attribute(CONTENT_TYPE, DATA.to_vec()),
        attribute(SIGNING_TIME, time(now.0.div_euclid(1_000_000))),
        attribute(MESSAGE_DIGEST, octets(digest(way.digest, content).as_ref())),
    ];
    // RFC 5652 §5.4: what is signed has the tag of a SET; what is sent has that of its place.
    let signature = signer.sign(&set_of(SET, attributes.clone())).ok()?;
    let digest_algorithm = tagged(SEQUENCE, way.digest_name);
    let info = joined(
        SEQUENCE,
        &[
            small(1),
            joined(SEQUENCE, &[leaf.tbs_certificate.issuer.as_raw().to_vec(), integer(leaf.raw_serial())]),
            digest_algorithm.clone(),
            set_of(context(0), attributes),
            tagged(SEQUENCE, way.signature_name),
            octets(&signature),
        ],
    );
    let chain: Vec<Vec<u8>> = by.cert.iter().map(|certificate| certificate.to_vec()).collect();
    let data = joined(
        SEQUENCE,
        &[
            small(1),
            tagged(SET, &digest_algorithm),
            joined(SEQUENCE, &[DATA.to_vec(), tagged(context(0), &octets(content))]),
            set_of(context(0), chain),
            tagged(SET, &info),
        ],
    );
    Some(joined(SEQUENCE, &[SIGNED_DATA.to_vec(), tagged(context(0), &data)]))
}

fn attribute(name: &[u8], value: Vec<u8>) -> Vec<u8> {
    joined(SEQUENCE, &[name.to_vec(), tagged(SET, &value)])
}

/// A key's way of signing, and how it is named: an AlgorithmIdentifier's content.
struct Way {
    scheme: SignatureScheme,
    digest: &'static digest::Algorithm,
    digest_name: &'static [u8],
    signature_name: &'static [u8],
}

/// Of RSA the older form: every reader of profiles knows it. Ed25519 (RFC 8419) is left out: devices do not verify it.
static WAYS: [Way; 4] = [
    Way {
        scheme: SignatureScheme::ECDSA_NISTP256_SHA256,
        digest: &digest::SHA256,
        digest_name: SHA256,
        signature_name: &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
    },
    Way {
        scheme: SignatureScheme::ECDSA_NISTP384_SHA384,
        digest: &digest::SHA384,
        digest_name: SHA384,
        signature_name: &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
    },
    Way {
        scheme: SignatureScheme::ECDSA_NISTP521_SHA512,
        digest: &digest::SHA512,
        digest_name: SHA512,
        signature_name: &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
    },
    Way {
        scheme: SignatureScheme::RSA_PKCS1_SHA256,
        digest: &digest::SHA256,
        digest_name: SHA256,
        // sha256WithRSAEncryption, and RFC 4055 §5: the parameters are NULL.
        signature_name: &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0],
    },
];

const SHA256: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
const DATA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const CONTENT_TYPE: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SIGNING_TIME: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 5];
