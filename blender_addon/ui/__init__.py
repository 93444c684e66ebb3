"""What is drawn: panels, lists, preferences. Drawing decides nothing and changes nothing."""
