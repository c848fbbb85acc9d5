//! The receiver of DATA.

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// A CR without LF or a LF without CR.
    BareNewline,
    /// A line longer than the limit.
    LineTooLong,
    /// More octets than the limit.
    TooLarge,
}

/// The receiver.
#[derive(Debug)]
pub struct DataReceiver {}
