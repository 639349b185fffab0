//! Rust text as tokens: comments, strings and characters are gone, so that nothing in them counts.

/// A word or a sign, with the line that it stands on. `::` is one sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let token: String = chars[at..end].iter().collect();
        let is_kept = !token.starts_with("//")
            && !token.starts_with("/*")
            && !token.ends_with(['"', '\'', '#'])
            && !token.starts_with(char::is_whitespace);
        // A lone `#` begins an attribute; one that ends a longer token closes a raw string.
        if is_kept || token == "#" {
            found.push(Token { text: token.clone(), line });
        }
        line += token.matches('\n').count();
        at = end;
    }
    found
}

/// Where the token ends that begins at `at`; strings, characters and comments are one token each.
fn token_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next(1) == '/' => find(chars, at, |at| chars[at] == '\n'),
        '/' if next(1) == '*' => comment_end(chars, at),
        '"' => string_end(chars, at),
        'b' | 'c' if next(1) == '"' => string_end(chars, at + 1),
        'b' if next(1) == '\'' => character_end(chars, at + 1).unwrap_or(at + 1),
        'r' if matches!(next(1), '"' | '#') => raw_string_end(chars, at + 1),
        'b' | 'c' if next(1) == 'r' && matches!(next(2), '"' | '#') => {
            raw_string_end(chars, at + 2)
        }
        '\'' => character_end(chars, at).unwrap_or(at + 1),
        ':' if next(1) == ':' => at + 2,
        c if is_word(c) => find(chars, at, |at| !is_word(chars[at])),
        _ => at + 1,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(chars: &[char], from: usize, wanted: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|at| wanted(*at)).unwrap_or(chars.len())
}

/// Block comments nest.
fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(chars: &[char], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `from` is where the hashes begin. `r#word` is a word, not a string: only `r#` is taken.
fn raw_string_end(chars: &[char], from: usize) -> usize {
    let quote = find(chars, from, |at| chars[at] != '#');
    if chars.get(quote) != Some(&'"') {
        return from;
    }
    let hashes = quote - from;
    let closes = |at: usize| {
        chars[at] == '"' && (1..=hashes).all(|offset| chars.get(at + offset) == Some(&'#'))
    };
    (find(chars, quote + 1, closes) + 1 + hashes).min(chars.len())
}

/// `None` for a lifetime.
fn character_end(chars: &[char], quote: usize) -> Option<usize> {
    match (chars.get(quote + 1)?, chars.get(quote + 2)?) {
        ('\\', _) => Some(find(chars, quote + 3, |at| chars[at] == '\'') + 1),
        (_, '\'') => Some(quote + 3),
        _ => None,
    }
}

#[test]
fn comments_strings_and_characters_are_gone() {
    let text = r##"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        let x = "crate::e \" crate::f"; let y = r#"crate::g " "#; let z = b"crate::h";
        let c = '"'; let d = '\''; let e = b'"';
        fn f<'a>(x: &'a str) { crate::i::j(r"crate::k") }
        #[ignore]
    "##;
    let found: String = tokens(text).into_iter().map(|token| token.text + " ").collect();
    assert_eq!(
        found,
        "let x = ; let y = ; let z = ; let c = ; let d = ; let e = ; fn f < a > ( x : & a str ) \
         { crate :: i :: j ( ) } # [ ignore ] "
    );
}

#[test]
fn tokens_know_their_line() {
    let found = tokens("a\n\"x\ny\"\n/*\n*/ b");
    assert_eq!(found.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 5]);
}
