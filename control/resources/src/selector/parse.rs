//! Parser for the text form of label selectors. Messages are those of Kubernetes, which clients show.

use std::collections::BTreeSet;

use super::{Operator, Requirement, SelectorError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    Word(&'a str),
    Comma,
    Open,
    Close,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Word(w) => w,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
        }
    }

    fn ends_requirement(self) -> bool {
        matches!(self, Self::End | Self::Comma)
    }
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let (token, length) = match self.rest.as_bytes() {
            [] => (Token::End, 0),
            [b'=', b'=', ..] => (Token::DoubleEquals, 2),
            [b'!', b'=', ..] => (Token::NotEquals, 2),
            [b'=', ..] => (Token::Equals, 1),
            [b'!', ..] => (Token::Not, 1),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b',', ..] => (Token::Comma, 1),
            [b'>', ..] => (Token::Greater, 1),
            [b'<', ..] => (Token::Less, 1),
            _ => {
                let end = self
                    .rest
                    .find(|c: char| "=!(),<> \t\r\n".contains(c))
                    .unwrap_or(self.rest.len());
                (Token::Word(&self.rest[..end]), end)
            }
        };
        self.rest = &self.rest[length..];
        token
    }

    fn peek(&self) -> Token<'a> {
        Lexer { rest: self.rest }.next()
    }
}

fn error<T>(text: String) -> Result<T, SelectorError> {
    Err(SelectorError(text))
}

/// All requirements of a selector, in the order written.
pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut lexer = Lexer { rest: text };
    let mut found = Vec::new();
    loop {
        match lexer.peek() {
            Token::End => return Ok(found),
            Token::Word(_) | Token::Not => {
                let requirement = requirement(&mut lexer)
                    .map_err(|e| SelectorError(format!("unable to parse requirement: {}", e.0)))?;
                found.push(requirement);
                match lexer.next() {
                    Token::End => return Ok(found),
                    Token::Comma => match lexer.peek() {
                        Token::Word(_) | Token::Not => {}
                        other => {
                            return error(format!(
                                "found '{}', expected: identifier after ','",
                                other.text()
                            ));
                        }
                    },
                    other => {
                        return error(format!(
                            "found '{}', expected: ',' or 'end of string'",
                            other.text()
                        ));
                    }
                }
            }
            other => {
                return error(format!(
                    "found '{}', expected: !, identifier, or 'end of string'",
                    other.text()
                ));
            }
        }
    }
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, SelectorError> {
    let mut token = lexer.next();
    let negated = token == Token::Not;
    if negated {
        token = lexer.next();
    }
    let Token::Word(key) = token else {
        return error(format!("found '{}', expected: identifier", token.text()));
    };
    if negated {
        return Requirement::new(key, Operator::DoesNotExist, BTreeSet::new());
    }
    if lexer.peek().ends_requirement() {
        return Requirement::new(key, Operator::Exists, BTreeSet::new());
    }
    let operator = match lexer.next() {
        Token::Word("in") => Operator::In,
        Token::Word("notin") => Operator::NotIn,
        Token::Equals | Token::DoubleEquals => Operator::Equals,
        Token::NotEquals => Operator::NotEquals,
        Token::Greater => Operator::GreaterThan,
        Token::Less => Operator::LessThan,
        other => {
            return error(format!(
                "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                other.text()
            ));
        }
    };
    let values = match operator {
        Operator::In | Operator::NotIn => values(lexer)?,
        _ => BTreeSet::from([exact_value(lexer)?]),
    };
    Requirement::new(key, operator, values)
}

fn exact_value(lexer: &mut Lexer<'_>) -> Result<String, SelectorError> {
    if lexer.peek().ends_requirement() {
        return Ok(String::new());
    }
    match lexer.next() {
        Token::Word(word) => Ok(word.to_owned()),
        other => error(format!("found '{}', expected: identifier", other.text())),
    }
}

/// `(a,b)`; an empty place between commas is the empty value.
fn values(lexer: &mut Lexer<'_>) -> Result<BTreeSet<String>, SelectorError> {
    let mut set = BTreeSet::new();
    match lexer.next() {
        Token::Open => {}
        other => return error(format!("found '{}' expected: '('", other.text())),
    }
    if lexer.peek() == Token::Close {
        lexer.next();
        return Ok(set);
    }
    loop {
        match lexer.next() {
            Token::Word(word) => {
                set.insert(word.to_owned());
                match lexer.next() {
                    Token::Comma => {
                        if lexer.peek() == Token::Close {
                            set.insert(String::new());
                            lexer.next();
                            return Ok(set);
                        }
                    }
                    Token::Close => return Ok(set),
                    other => return error(format!("found '{}', expected: ',' or ')'", other.text())),
                }
            }
            Token::Comma => {
                set.insert(String::new());
                if lexer.peek() == Token::Close {
                    lexer.next();
                    return Ok(set);
                }
            }
            other => {
                return error(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    other.text()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LabelSelector;

    #[test]
    fn selectors_are_read_and_printed_again() {
        let cases = [
            ("", ""),
            ("a=b", "a=b"),
            ("a==b", "a=b"),
            (" a = b , c ", "a=b,c"),
            ("c,a=b", "a=b,c"),
            ("x in (b, a,)", "x in (,a,b)"),
            ("x notin (a)", "x notin (a)"),
            ("!x", "!x"),
            ("x!=", "x!="),
            ("x=", "x="),
            ("in in (in)", "in in (in)"),
            ("x>1,y<2", "x>1,y<2"),
            ("example.com/a=b", "example.com/a=b"),
        ];
        for (from, to) in cases {
            assert_eq!(LabelSelector::parse(from).unwrap().to_string(), to, "{from}");
        }
    }

    #[test]
    fn errors_are_worded_as_kubernetes_words_them() {
        let cases = [
            ("a=b=c", "found '=', expected: ',' or 'end of string'"),
            (",", "found ',', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            ("!", "unable to parse requirement: found '', expected: identifier"),
        ];
        for (from, message) in cases {
            assert_eq!(LabelSelector::parse(from).unwrap_err().0, message, "{from}");
        }
        assert!(LabelSelector::parse("a in ()").is_err());
        assert!(LabelSelector::parse("a>b").is_err());
        assert!(
            LabelSelector::parse("a=b$").unwrap_err().0.starts_with(
                "unable to parse requirement: values[0][a]: Invalid value: \"b$\": a valid label"
            )
        );
    }
}
