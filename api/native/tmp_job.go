package native

func (d *door) jobRoutes() {}
