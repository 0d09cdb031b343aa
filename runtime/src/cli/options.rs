//! Reading a command line as runc's library does: options with one dash or two, their values behind `=` or in the next word.
//!
//! Written out here because every call pays for it: a library that first builds a picture of all commands took a fifth of a
//! millisecond and a sixth of the memory of a container's start.

use std::{
    ffi::{OsStr, OsString},
    fmt::Write as _,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    str::FromStr,
};

/// An option: its name, its letter (or ""), what its value is called ("" for one that takes none), and what it is for.
pub(super) type Choice = (&'static str, &'static str, &'static str, &'static str);

/// A command's form.
#[derive(Debug)]
pub(super) struct Form {
    pub name: &'static str,
    /// What follows its options, for people.
    pub operands: &'static str,
    /// What it does.
    pub about: &'static str,
    pub options: &'static [Choice],
    /// How many operands there may be.
    pub count: (usize, usize),
    /// With the first operand its options end, since what follows may be somebody else's.
    pub in_order: bool,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub(super) enum Stop {
    /// Help was asked for: this is it.
    Help(String),
    /// A mistake, in the words of runc.
    Wrong(String),
    /// There is no such command.
    Unknown(String),
}

/// What was given to a command.
#[derive(Debug)]
pub(super) struct Given {
    options: Vec<(&'static str, OsString)>,
    pub operands: Vec<OsString>,
}

impl Form {
    /// Reads `words` up to their end, or to the first operand if options end there; the rest are operands.
    pub fn read(&self, program: &str, words: &[OsString]) -> Result<Given, Stop> {
        let mut given = Given {
            options: Vec::new(),
            operands: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_bytes() {
                b"--" => {
                    given.operands.extend(words.by_ref().cloned());
                }
                [b'-', _, ..] => self.option(word, &mut words, &mut given, program)?,
                _ => {
                    given.operands.push(word.clone());
                    if self.in_order {
                        given.operands.extend(words.by_ref().cloned());
                    }
                }
            }
        }
        let (least, most) = self.count;
        let found = given.operands.len();
        if found < least || found > most {
            let how = if least == most {
                format!("exactly {least}")
            } else if found < least {
                format!("a minimum of {least}")
            } else {
                format!("a maximum of {most}")
            };
            return Err(Stop::Wrong(format!(
                "{program}: {:?} requires {how} argument(s)",
                self.name
            )));
        }
        Ok(given)
    }

    fn option<'a>(
        &self,
        word: &OsStr,
        words: &mut impl Iterator<Item = &'a OsString>,
        given: &mut Given,
        program: &str,
    ) -> Result<(), Stop> {
        let bytes = word.as_bytes();
        let bare = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
        let equals = bare.iter().position(|b| *b == b'=');
        let (name, value) = match equals {
            Some(at) => (&bare[..at], Some(&bare[at + 1..])),
            None => (bare, None),
        };
        if matches!(name, b"help" | b"h") {
            return Err(Stop::Help(self.help(program)));
        }
        if let Some(choice) = self.choice(name) {
            return given.take(choice, value.map(OsStr::from_bytes), words);
        }
        // Letters that stand together; the last may have its value right behind.
        let unknown = || {
            let name = String::from_utf8_lossy(name);
            Stop::Wrong(format!("flag provided but not defined: -{name}"))
        };
        if bytes.starts_with(b"--") {
            return Err(unknown());
        }
        for at in 0..bare.len() {
            let choice = self.choice(&bare[at..=at]).ok_or_else(unknown)?;
            let behind = &bare[at + 1..];
            if !choice.2.is_empty() {
                let value = (!behind.is_empty()).then(|| OsStr::from_bytes(behind));
                return given.take(choice, value, words);
            }
            given.take(choice, None, words)?;
        }
        Ok(())
    }

    fn choice(&self, name: &[u8]) -> Option<&'static Choice> {
        self.options.iter().find(|(long, short, ..)| {
            name == long.as_bytes() || (!short.is_empty() && name == short.as_bytes())
        })
    }

    /// In the layout that runc's has.
    pub fn help(&self, program: &str) -> String {
        let name = format!("{program} {}", self.name);
        let name = name.trim_end();
        let mut text = format!("NAME:\n   {name} - {}\n\nUSAGE:\n   {name}", self.about);
        if !self.options.is_empty() {
            text.push_str(if self.name.is_empty() {
                " [global options]"
            } else {
                " [command options]"
            });
        }
        let _ = write!(text, " {}", self.operands);
        text.truncate(text.trim_end().len());
        if !self.options.is_empty() {
            text.push_str("\n\nOPTIONS:");
        }
        for (long, short, value, about) in self.options {
            let mut left = format!("--{long}");
            if !short.is_empty() {
                let _ = write!(left, ", -{short}");
            }
            if !value.is_empty() {
                let _ = write!(left, " {value}");
            }
            let _ = write!(text, "\n   {left:<34} {about}");
        }
        text
    }
}

impl Given {
    fn take<'a>(
        &mut self,
        choice: &'static Choice,
        value: Option<&OsStr>,
        words: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), Stop> {
        let (long, _, kind, _) = choice;
        let value = if kind.is_empty() {
            match value.map(OsStr::as_bytes) {
                None | Some(b"true" | b"1" | b"t") => OsString::new(),
                // As if it were not there.
                Some(b"false" | b"0" | b"f") => return Ok(()),
                Some(other) => return Err(wrong(long, &String::from_utf8_lossy(other), "not true or false")),
            }
        } else {
            value
                .map(OsStr::to_owned)
                .or_else(|| words.next().cloned())
                .ok_or_else(|| Stop::Wrong(format!("flag needs an argument: -{long}")))?
        };
        self.options.push((*long, value));
        Ok(())
    }

    /// An option was there.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(long, _)| *long == name)
    }

    fn last(&self, name: &str) -> Option<&OsString> {
        self.options
            .iter()
            .rev()
            .find(|(long, _)| *long == name)
            .map(|(_, value)| value)
    }

    /// The value of an option, the last one of several.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.last(name).map(PathBuf::from)
    }

    pub fn text(&self, name: &str) -> Result<Option<String>, Stop> {
        self.last(name).map(|value| utf8(name, value)).transpose()
    }

    /// One of `words`, the first of them unless asked otherwise.
    pub fn word(&self, name: &str, words: &[&str]) -> Result<String, Stop> {
        match self.text(name)? {
            None => Ok(words[0].to_owned()),
            Some(word) if words.contains(&word.as_str()) => Ok(word),
            Some(word) => Err(wrong(name, &word, &format!("not one of {}", words.join(", ")))),
        }
    }

    pub fn number<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Stop> {
        self.text(name)?.map(|text| parse(name, &text)).transpose()
    }

    /// All values of an option that may come again.
    pub fn all(&self, name: &str) -> Result<Vec<String>, Stop> {
        let values = self.options.iter().filter(|(long, _)| *long == name);
        values.map(|(_, value)| utf8(name, value)).collect()
    }

    pub fn numbers<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Vec<T>, Stop> {
        self.all(name)?.iter().map(|text| parse(name, text)).collect()
    }

    /// The operand at a place where there is one.
    pub fn operand(&self, at: usize) -> Result<String, Stop> {
        utf8("", &self.operands[at])
    }

    /// The operands from a place on.
    pub fn operands_from(&self, at: usize) -> Result<Vec<String>, Stop> {
        self.operands[at..].iter().map(|word| utf8("", word)).collect()
    }
}

fn utf8(name: &str, value: &OsStr) -> Result<String, Stop> {
    match value.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong(name, &value.to_string_lossy(), "not UTF-8")),
    }
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Stop> {
    text.trim()
        .parse()
        .map_err(|e: T::Err| wrong(name, text, &e.to_string()))
}

fn wrong(name: &str, value: &str, why: &str) -> Stop {
    if name.is_empty() {
        return Stop::Wrong(format!("invalid argument {value:?}: {why}"));
    }
    Stop::Wrong(format!("invalid value {value:?} for flag -{name}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        name: "make",
        operands: "ID [WORD...]",
        about: "Makes it.",
        options: &[
            ("bundle", "b", "PATH", "Where."),
            ("detach", "d", "", "Do not wait."),
            ("tty", "t", "", "A terminal."),
            ("count", "", "NUMBER", "How many."),
        ],
        count: (1, 3),
        in_order: true,
    };

    fn read(words: &[&str]) -> Result<Given, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        FORM.read("x", &words).map_err(|stop| match stop {
            Stop::Help(text) | Stop::Wrong(text) | Stop::Unknown(text) => text,
        })
    }

    #[test]
    fn an_option_is_read_in_every_way_it_is_written() {
        for words in [
            &["--bundle", "/b", "id"][..],
            &["--bundle=/b", "id"],
            &["-bundle", "/b", "id"],
            &["-bundle=/b", "id"],
            &["-b", "/b", "id"],
            &["-b=/b", "id"],
            &["-b/b", "id"],
            &["-dtb", "/b", "id"],
            &["--bundle", "/a", "--bundle", "/b", "--", "id"],
        ] {
            let given = read(words).unwrap();
            assert_eq!(given.path("bundle"), Some("/b".into()), "{words:?}");
            assert_eq!(given.operand(0).unwrap(), "id");
            assert_eq!(given.has("tty"), words[0] == "-dtb");
        }
    }

    #[test]
    fn what_follows_the_first_operand_is_not_looked_at() {
        let given = read(&["--detach", "id", "-x", "--help"]).unwrap();
        assert_eq!(given.operands_from(1).unwrap(), ["-x", "--help"]);
    }

    #[test]
    fn a_number_may_be_negative_and_a_flag_false() {
        let given = read(&["--count", "-1", "--detach=false", "id"]).unwrap();
        assert_eq!(given.number::<i64>("count").unwrap(), Some(-1));
        assert!(!given.has("detach"));
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_runc() {
        for (words, told) in [
            (
                &["--no-such", "id"][..],
                "flag provided but not defined: -no-such",
            ),
            (&["-dx", "id"], "flag provided but not defined: -dx"),
            (&["--bundle"], "flag needs an argument: -bundle"),
            (
                &["--detach=maybe", "id"],
                "invalid value \"maybe\" for flag -detach",
            ),
            (&[], "x: \"make\" requires a minimum of 1 argument(s)"),
            (
                &["1", "2", "3", "4"],
                "x: \"make\" requires a maximum of 3 argument(s)",
            ),
        ] {
            let text = read(words).unwrap_err();
            assert!(text.starts_with(told), "{words:?}: {text}");
        }
        let given = read(&["--count", "many", "id"]).unwrap();
        assert!(given.number::<i64>("count").is_err() && given.word("count", &["few"]).is_err());
    }

    #[test]
    fn help_names_every_option() {
        let text = read(&["--help"]).unwrap_err();
        assert!(
            text.starts_with(
                "NAME:\n   x make - Makes it.\n\nUSAGE:\n   x make [command options] ID [WORD...]\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("--bundle, -b PATH") && text.contains("--count NUMBER"),
            "{text}"
        );
    }
}
