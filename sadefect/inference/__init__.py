"""What runs a trained network: Keras, or OpenVINO."""
