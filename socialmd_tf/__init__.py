"""Learn how interacting particles move from their trajectories, and roll the motion out."""
