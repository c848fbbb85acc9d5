//! Bodies for blobs.

/// Text as mail has it.
pub(crate) fn compressible(size: usize) -> Vec<u8> {
    (0..).flat_map(|n: u32| format!("line {n} of a message\r\n").into_bytes()).take(size).collect()
}

/// Bytes that do not compress, different each time they are asked for.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = postroad_store::new_id().unsigned_abs() | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
