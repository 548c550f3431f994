"""Operating a segmentation: where models are kept and tracked, and Azure Machine Learning."""
