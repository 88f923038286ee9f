"""Teaching from the page: the operator has marked videos learned as a draft, by the project that the service is for."""
