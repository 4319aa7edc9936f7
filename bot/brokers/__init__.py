"""What carries out approved orders: on paper, by the bars that close, or on an exchange."""
