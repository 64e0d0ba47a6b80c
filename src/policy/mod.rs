//! Whether a command is refused before anything runs. A seat belt, not the wall: isolation is the wall.
