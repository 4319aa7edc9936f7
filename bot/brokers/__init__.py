"""What carries out approved orders: on paper, by the bars that close."""
