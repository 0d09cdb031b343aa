//! Names made by the server from `metadata.generateName`.

use rand::RngExt as _;

/// No vowels and nothing that looks like another: no words come out by chance.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
const MAX: usize = 63;

/// `base` and five random characters, `base` shortened so that the whole has at most 63. The caller tries again
/// when the name is taken.
pub fn generate(base: &str) -> String {
    let mut end = base.len().min(MAX - SUFFIX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut rng = rand::rng();
    let suffix = (0..SUFFIX).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    base[..end].chars().chain(suffix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_name_fits_and_keeps_its_base() {
        let name = generate("web-");
        assert_eq!(name.len(), 9);
        assert!(name.starts_with("web-"));
        assert!(name[4..].bytes().all(|b| ALPHABET.contains(&b)));
        assert_eq!(generate(&"a".repeat(80)).len(), 63);
        assert_ne!(generate("a"), generate("a"));
    }
}
