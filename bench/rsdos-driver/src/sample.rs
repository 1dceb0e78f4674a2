//! What proves that content was read: its length, and the sum of every `stride`-th byte of it.

pub struct Sample {
    stride: u64,
    pub objects: u64,
    pub bytes: u64,
    pub sum: u64,
}

impl Sample {
    pub fn new(stride: u64) -> Self {
        Sample {
            stride,
            objects: 0,
            bytes: 0,
            sum: 0,
        }
    }

    /// Takes a piece of an object; `position` is where in the object the piece begins.
    pub fn piece(&mut self, piece: &[u8], position: u64) {
        let first = (self.stride - position % self.stride) % self.stride;
        let picked = piece.iter().skip(first as usize).step_by(self.stride as usize);
        self.sum += picked.map(|&byte| u64::from(byte)).sum::<u64>();
        self.bytes += piece.len() as u64;
    }

    pub fn object(&mut self, content: &[u8]) {
        self.objects += 1;
        self.piece(content, 0);
    }
}
