//! The base64 of a line, as clients really write it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::Error;

/// Longest base64 line, without CRLF, in octets (RFC 4954 §4.5 asks for at least 12288 in all).
pub const LINE_LIMIT: usize = 12_288;

/// Padding is required by RFC 4648 §3.2 but several device firmwares leave it out; nothing is
/// ambiguous without it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a line says.
pub(crate) fn decode(line: &[u8]) -> Result<Vec<u8>, Error> {
    if line.len() > LINE_LIMIT {
        return Err(Error::TooLong);
    }
    LENIENT.decode(line.trim_ascii_end()).map_err(|_| Error::BadBase64)
}
