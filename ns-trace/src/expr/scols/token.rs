//! The words of the filter language.

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Operator(Operator),
    Matches,
    Differs,
    True,
    False,
    Text(String),
    Number(u64),
    Float(f64),
    Name(String),
    Open,
    Close,
}

/// A comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Token {
    /// What it is called in messages.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::And => "`and`",
            Self::Or => "`or`",
            Self::Not => "`not`",
            Self::Operator(_) | Self::Matches | Self::Differs => "a comparison",
            Self::True | Self::False => "a boolean",
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Float(_) => "a floating point number",
            Self::Name(_) => "a name",
            Self::Open => "`(`",
            Self::Close => "`)`",
        }
    }
}

/// Splits an expression into words, each with the byte that it starts at; where it cannot go on, the
/// byte and what is wrong.
pub(super) fn tokens(source: &str) -> Result<Vec<(usize, Token)>, (usize, String)> {
    let mut tokens = Vec::new();
    let mut rest = source;
    loop {
        rest = rest.trim_start();
        let at = source.len() - rest.len();
        if rest.is_empty() {
            return Ok(tokens);
        }
        let (token, length) = token(rest).map_err(|message| (at, message))?;
        tokens.push((at, token));
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Longer ones first.
const SIGNS: [(&str, Token); 13] = [
    ("&&", Token::And),
    ("||", Token::Or),
    ("==", Token::Operator(Operator::Eq)),
    ("!=", Token::Operator(Operator::Ne)),
    ("<=", Token::Operator(Operator::Le)),
    (">=", Token::Operator(Operator::Ge)),
    ("=~", Token::Matches),
    ("!~", Token::Differs),
    ("<", Token::Operator(Operator::Lt)),
    (">", Token::Operator(Operator::Gt)),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
];

fn token(rest: &str) -> Result<(Token, usize), String> {
    if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((token.clone(), sign.len()));
    }
    match rest.chars().next().unwrap_or_default() {
        quote @ ('"' | '\'') => {
            let inside = rest.strip_prefix(quote).and_then(|inside| inside.split_once(quote));
            let text = inside.map(|(text, _)| text).filter(|text| !text.contains('\n'));
            let text = text.ok_or("a string without its end")?;
            Ok((Token::Text(text.to_owned()), text.len() + 2))
        }
        '0'..='9' => number(rest),
        first if first.is_ascii_alphabetic() => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_.%:/-".contains(c);
            let (name, _) = split(rest, is_part);
            Ok((word(name), name.len()))
        }
        other => Err(format!("unexpected `{}`", other.escape_default())),
    }
}

/// What `rest` begins with as long as `is_part`, and what follows.
fn split(rest: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    rest.split_at_checked(length).unwrap_or((rest, ""))
}

fn word(word: &str) -> Token {
    match word {
        "and" | "AND" => Token::And,
        "or" | "OR" => Token::Or,
        "not" | "NOT" => Token::Not,
        "eq" | "EQ" => Token::Operator(Operator::Eq),
        "ne" | "NE" => Token::Operator(Operator::Ne),
        "lt" | "LT" => Token::Operator(Operator::Lt),
        "le" | "LE" => Token::Operator(Operator::Le),
        "gt" | "GT" => Token::Operator(Operator::Gt),
        "ge" | "GE" => Token::Operator(Operator::Ge),
        "true" | "TRUE" => Token::True,
        "false" | "FALSE" => Token::False,
        // Words of mixed case are names.
        _ => Token::Name(word.to_owned()),
    }
}

/// `12`, `1.5`, `4K`, `4KiB`: the units are powers of 1024.
fn number(rest: &str) -> Result<(Token, usize), String> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (whole, after) = split(rest, is_digit);
    let fraction = after.strip_prefix('.').map(|after| split(after, is_digit).0);
    if let Some(fraction) = fraction.filter(|fraction| !fraction.is_empty())
        && let Ok(value) = format!("{whole}.{fraction}").parse()
    {
        return Ok((Token::Float(value), whole.len() + 1 + fraction.len()));
    }
    let unit = after.chars().next().and_then(|unit| "KMGTPEZY".find(unit));
    let power = unit.map_or(0, |unit| u32::try_from(unit + 1).unwrap_or(u32::MAX));
    let factor = 1024_u64.checked_pow(power);
    let value =
        whole.parse().ok().zip(factor).and_then(|(n, factor): (u64, _)| n.checked_mul(factor));
    let (sign, rest) = after.split_at_checked(usize::from(unit.is_some())).unwrap_or_default();
    let value = value.ok_or_else(|| format!("the number {whole}{sign} is too large"))?;
    let binary = if unit.is_some() && rest.starts_with("iB") { 2 } else { 0 };
    Ok((Token::Number(value), whole.len() + sign.len() + binary))
}
