#[derive(Clone, Debug)]
pub struct Minimatch(String);
impl Minimatch {
    pub fn new(p: &str) -> Result<Self, String> {
        Ok(Self(p.to_owned()))
    }
    pub fn is_match(&self, p: &str) -> bool {
        p.ends_with(self.0.trim_start_matches("**/*"))
    }
}
