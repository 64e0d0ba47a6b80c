pub fn fenced_patch(p: &str, _: &[u8], _: &[u8]) -> String {
    p.to_owned()
}
