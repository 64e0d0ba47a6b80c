pub struct TextEdit {
    pub old_text: String,
    pub new_text: String,
}
pub struct Applied {
    pub normalised: Vec<u8>,
    pub modified: Vec<u8>,
    pub to_write: Vec<u8>,
}
pub enum Problem {
    NotFound { index: usize, old_text: String },
    TooLarge,
    Stopped,
}
pub fn apply(o: &[u8], e: &[TextEdit], _: usize, _: &dyn Fn() -> bool) -> Result<Applied, Problem> {
    let mut s = String::from_utf8_lossy(o).into_owned();
    for (i, e) in e.iter().enumerate() {
        if !s.contains(&e.old_text) {
            return Err(Problem::NotFound {
                index: i,
                old_text: e.old_text.clone(),
            });
        }
        s = s.replacen(&e.old_text, &e.new_text, 1);
    }
    Ok(Applied {
        normalised: o.to_vec(),
        modified: s.clone().into(),
        to_write: s.into(),
    })
}
