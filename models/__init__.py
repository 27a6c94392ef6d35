"""Who answers: the Model port, the gateway, the embedded model, embedders."""
