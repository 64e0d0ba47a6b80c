use super::*;
pub struct InFlight;
pub struct NewOutput {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub stdout_to: u64,
    pub stderr_to: u64,
    pub stdout_missed: u64,
    pub stderr_missed: u64,
}
impl Workspace {
    pub fn begin_call(&self, _: &str, _: CancellationToken) -> Result<InFlight> {
        Ok(InFlight)
    }
}
impl BackgroundCommand {
    pub fn output_since(&self, a: u64, b: u64) -> NewOutput {
        let o = self.output();
        NewOutput {
            stdout_to: o.stdout.len() as u64,
            stderr_to: o.stderr.len() as u64,
            stdout: o.stdout[(a as usize).min(o.stdout.len())..].to_vec(),
            stderr: o.stderr[(b as usize).min(o.stderr.len())..].to_vec(),
            stdout_missed: 0,
            stderr_missed: 0,
        }
    }
}
