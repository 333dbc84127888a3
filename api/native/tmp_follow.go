package native

func (d *door) followRoutes() {}
