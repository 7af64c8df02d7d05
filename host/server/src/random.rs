//! The one place that asks for randomness.

/// Letters that are not mistaken for one another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The operating system gave no random bytes: nothing safe can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random bytes to give")]
pub struct NoRandomness(#[from] getrandom::Error);

/// A new id: 26 letters and digits, 130 random bits.
pub fn id() -> Result<String, NoRandomness> {
    letters(26)
}

/// A new secret: 52 letters and digits, 260 random bits.
pub fn secret() -> Result<String, NoRandomness> {
    letters(52)
}

fn letters(count: usize) -> Result<String, NoRandomness> {
    let mut bytes = vec![0; count];
    fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}

/// Random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this is the module that may")]
fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    Ok(getrandom::fill(bytes)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_names_and_differ() {
        let (one, two) = (super::id().unwrap(), super::id().unwrap());
        assert_ne!(one, two);
        assert!(one.parse::<quorate_core::ids::RequestId>().is_ok());
        assert_eq!(super::secret().unwrap().len(), 52);
    }
}
